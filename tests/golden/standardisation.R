# Golden values of clintrial.statistics.standardisation: formulas of Ge et al. 2011 and Ye et al. 2023 written out in base R on glm fits; run once, the CSVs are committed:   Rscript tests/golden/standardisation.R tests/golden
suppressMessages(library(survival)); options(digits=15); folder <- commandArgs(TRUE)[1]
set.seed(61); n <- 240
d <- data.frame(arm=sample(rep(c("control", "low", "high"), n/3)), age=round(rnorm(n, 60, 9)), sex=sample(c("F", "M"), n, TRUE)); d$base <- round(rnorm(n, 50, 8), 1)
eff <- c(control=0, low=.5, high=1.1)[d$arm]
d$hit <- as.integer(runif(n) < plogis(-.8 + eff + .06*(d$base - 50) - .04*(d$age - 60))); d$change <- round(.5*(d$base - 50) - 2*eff + .2*(d$age - 60) + rnorm(n, 0, 5), 2); d$count <- rpois(n, exp(.4 - .3*eff + .03*(d$base - 50)))
u <- rexp(n, .06*exp(-.5*eff + .03*(d$age - 60))); v <- runif(n, 6, 36); d$time <- round(pmin(u, v) + .05, 1); d$died <- as.integer(u <= v)
write.csv(d, file.path(folder, "standardisation_data.csv"), row.names=FALSE)
d$arm <- factor(d$arm, c("control", "high", "low")); arms <- levels(d$arm); quoted <- function(x) paste0('"', gsub('"', '""', x), '"'); out <- "function,arguments,name,value,tolerance,source"
put <- function(fun, args, name, value, call, tolerance="1e-06") out <<- c(out, sprintf("%s,%s,%s,%s,%s,%s", fun, quoted(args), quoted(name), format(value, digits=15), tolerance, quoted(paste0("R ", R.version$major, ".", R.version$minor, ", ", call))))
ye <- function(y, a, p) { v <- matrix(0, 3, 3); for (i in 1:3) { s <- a == arms[i]; v[i, i] <- var(y[s] - p[s, i])/mean(s) + 2*cov(y[s], p[s, i]) - var(p[, i])
  for (j in seq_len(i - 1)) { r <- a == arms[j]; v[i, j] <- v[j, i] <- cov(y[s], p[s, j]) + cov(y[r], p[r, i]) - cov(p[, i], p[, j]) } }; v/length(y) }
hc <- function(f, type) { x <- model.matrix(f); e <- residuals(f, "response"); b <- summary(f)$cov.unscaled; w <- f$weights; h <- rowSums((x %*% b)*x)*w; if (type == "HC3") e <- e/(1 - h); b %*% crossprod(x*e) %*% b }
do <- function(args, outcome, family, rhs, variance, measure, name) { y <- d[[outcome]]; f <- glm(as.formula(paste(outcome, "~", rhs)), family, d, control=glm.control(1e-13, 100))
  x <- lapply(arms, function(one) model.matrix(as.formula(paste("~", rhs)), transform(d, arm=factor(one, arms)))); p <- sapply(x, function(m) f$family$linkinv(m %*% coef(f)))
  vc <- if (variance == "ge") vcov(f) else if (variance != "ye") hc(f, variance); g <- t(sapply(1:3, function(i) colMeans(as.vector(f$family$mu.eta(x[[i]] %*% coef(f)))*x[[i]])))
  v <- if (variance == "ye") ye(y, d$arm, p) else g %*% vc %*% t(g); m <- colMeans(p); t <- switch(measure, difference=m, ratio=log(m), "odds ratio"=qlogis(m)); s <- switch(measure, difference=c(1, 1, 1), ratio=1/m, "odds ratio"=1/(m*(1 - m))); w <- v*outer(s, s)
  call <- paste0(name, ": glm(", outcome, " ~ ", rhs, ", ", family$family, ")")
  for (i in 1:3) { put("standardisation", args, sprintf("means.estimate[%d]", i-1), m[i], call); put("standardisation", args, sprintf("means.se[%d]", i-1), sqrt(v[i, i]), call) }
  for (i in 2:3) { gap <- t[i] - t[1]; put("standardisation", args, sprintf("table.estimate[%d]", i-2), if (measure == "difference") gap else exp(gap), call); put("standardisation", args, sprintf("table.se[%d]", i-2), sqrt(w[i, i] + w[1, 1] - 2*w[1, i]), call) } }
j <- function(outcome, covariates, ...) { more <- list(...); paste0('{"outcome": "', outcome, '", "covariates": [', paste0('"', covariates, '"', collapse=", "), ']', paste0(mapply(function(k, v) sprintf(', "%s": %s', k, v), names(more), more), collapse=""), "}") }
two <- c("base", "sex"); Y <- "Ye et al. 2023 written out"; G <- "Ge et al. 2011 written out"
do(j("hit", two), "hit", binomial(), "arm + base + sex", "ye", "difference", Y)
do(j("hit", two, measure='"ratio"'), "hit", binomial(), "arm + base + sex", "ye", "ratio", Y)
do(j("hit", two, measure='"odds ratio"'), "hit", binomial(), "arm + base + sex", "ye", "odds ratio", Y)
do(j("hit", two, by_arm="true"), "hit", binomial(), "arm*(base + sex)", "ye", "difference", Y)
do(j("hit", two, variance='"ge"'), "hit", binomial(), "arm + base + sex", "ge", "difference", G)
do(j("hit", two, variance='"HC0"'), "hit", binomial(), "arm + base + sex", "HC0", "difference", paste(G, "with HC0"))
do(j("hit", two, variance='"HC3"'), "hit", binomial(), "arm + base + sex", "HC3", "difference", paste(G, "with HC3"))
do(j("change", c("base", "age")), "change", gaussian(), "arm + base + age", "ye", "difference", Y)
do(j("change", c("base", "age"), by_arm="true"), "change", gaussian(), "arm*(base + age)", "ye", "difference", paste(Y, "(ANHECOVA)"))
do(j("change", c("base", "age"), variance='"ge"'), "change", gaussian(), "arm + base + age", "ge", "difference", G)
do(j("count", "base", kind='"count"', measure='"ratio"'), "count", poisson(), "arm + base", "ye", "ratio", Y)
f <- summary(survfit(Surv(time, died) ~ arm, d), rmean=18)$table; for (i in 1:3) put("adjusted_rmst", '{"time": "time", "event": "died", "tau": 18}', sprintf("means.estimate[%d]", i-1), f[i, "rmean"], "survival: summary(survfit(Surv(time, died) ~ arm), rmean=18)")
for (i in 1:3) { s <- d[d$arm == arms[i], ]; k <- nrow(s); p <- pseudo(survfit(Surv(time, died) ~ 1, s), times=18, type="rmst"); put("adjusted_rmst", '{"time": "time", "event": "died", "tau": 18}', sprintf("means.se[%d]", i-1), sd(p)/sqrt(k), "survival: pseudo(survfit(Surv(time, died) ~ 1), times=18, type='rmst') within the arm") }
writeLines(out, file.path(folder, "standardisation.csv"))
