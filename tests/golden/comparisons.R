# Golden values of clintrial.statistics' rooms multiplicity, equivalence, meta_analysis and subgroups from base R; run once, the CSV is committed:   Rscript tests/golden/comparisons.R tests/golden
suppressMessages(library(survival)); options(digits=15)
folder <- commandArgs(TRUE)[1]
quoted <- function(x) paste0('"', gsub('"', '""', x), '"')
version <- paste0("R ", R.version$major, ".", R.version$minor)
out <- "function,arguments,name,value,tolerance,source"
put <- function(fun, args, name, value, call, tolerance="1e-06") out <<- c(out, sprintf("%s,%s,%s,%s,%s,%s", fun, quoted(args), quoted(name), format(unname(value), digits=15), tolerance, quoted(paste0(version, ", ", call))))
json <- function(x) paste0("[", paste(format(x, digits=15, trim=TRUE, scientific=FALSE, drop0trailing=TRUE), collapse=", "), "]")

# -- multiplicity: p.adjust
for (p in list(c(.011, .02, .0045, .31, .049), c(.001, .001, .04, .04), c(.02, .03, .035, .045, .049, .9), c(.5, .2, .011, .013, .0004, .061, .03)))
  for (m in c("bonferroni", "holm", "hochberg", "hommel", "BH", "BY")) { a <- p.adjust(p, m)
    for (i in seq_along(p)) put("adjust", sprintf('{"p_values": %s, "method": "%s"}', json(p), tolower(m)), sprintf("table.p_value[%d]", i-1), a[i], sprintf("p.adjust(method='%s')", m)) }

# -- multiplicity: closed test with weighted Bonferroni tests, every intersection by itself
weights_of <- function(w, g, keep) { for (j in setdiff(seq_along(w), keep)) { l <- setdiff(which(!is.na(w)), j); nw <- w; ng <- g
    for (a in l) { nw[a] <- w[a] + w[j]*g[j, a]; for (b in l) ng[a, b] <- if (a != b && g[a, j]*g[j, a] < 1) (g[a, b] + g[a, j]*g[j, b])/(1 - g[a, j]*g[j, a]) else 0 }
    nw[j] <- NA; ng[j, ] <- 0; ng[, j] <- 0; w <- nw; g <- ng }; w }
closure <- function(w, g, p) { m <- length(p); adj <- rep(0, m)
  for (s in 1:(2^m - 1)) { keep <- which(bitwAnd(s, 2^(0:(m - 1))) > 0); x <- weights_of(w, g, keep)[keep]; q <- min(1, p[keep][x > 0]/x[x > 0]); adj[keep] <- pmax(adj[keep], q) }; adj }
graphs <- list(list(c(.5, .5, 0, 0), rbind(c(0, .5, .5, 0), c(.5, 0, 0, .5), c(0, 1, 0, 0), c(1, 0, 0, 0))), list(c(.5, .5, 0, 0), rbind(c(0, 0, .5, .5), c(0, 0, .5, .5), c(0, 0, 0, 1), c(0, 0, 1, 0))),
               list(c(.4, .4, .2, 0), rbind(c(0, .3, .3, .4), c(.6, 0, .4, 0), c(.2, .2, 0, .6), c(.5, .25, .25, 0))))
for (g in graphs) for (p in list(c(.018, .01, .105, .006), c(.001, .03, .02, .04), c(.024, .013, .004, .009))) { a <- closure(g[[1]], g[[2]], p)
  edges <- paste0("[", paste(apply(g[[2]], 1, json), collapse=", "), "]")
  for (i in 1:4) put("graph_test", sprintf('{"weights": %s, "transitions": %s, "p_values": %s}', json(g[[1]]), edges, json(p)), sprintf("table.p_value[%d]", i-1), a[i], "closed test of all 15 intersections with the weights of Bretz et al. 2009") }
simes <- function(p) min(sort(p)*length(p)/seq_along(p)); fisher <- function(p) pchisq(-2*sum(log(p)), 2*length(p), lower.tail=FALSE)
dunnett <- function(p) 1 - integrate(function(y) dnorm(y)*pnorm((qnorm(1 - min(p)) + sqrt(.5)*y)/sqrt(.5))^length(p), -10, 10, rel.tol=1e-12)$value
for (p in list(c(.018, .01, .105, .006), c(.024, .0131, .004, .2))) for (local in c("simes", "fisher", "dunnett")) { f <- get(local); adj <- rep(0, 4)
  for (s in 1:15) { keep <- which(bitwAnd(s, 2^(0:3)) > 0); adj[keep] <- pmax(adj[keep], f(p[keep])) }
  extra <- if (local == "dunnett") ', "correlation": 0.5' else ""
  for (i in 1:4) put("closed_test", sprintf('{"p_values": %s, "local": "%s"%s}', json(p), local, extra), sprintf("table.p_value[%d]", i-1), adj[i], sprintf("closed test of all 15 intersections (%s)", local)) }

# -- equivalence of risks: score test with risks that maximise the likelihood under the margin, by optimize
ml <- function(a, n, c, m, d, scale) { back <- function(q) if (scale == "difference") q + d else if (scale == "ratio") q*d else { o <- d*q/(1 - q); o/(1 + o) }
  range <- if (scale == "difference") c(max(0, -d), min(1, 1 - d)) else if (scale == "ratio") c(0, min(1, 1/d)) else c(0, 1)
  q <- optimize(function(q) { p <- back(q); a*log(p) + (n - a)*log1p(-p) + c*log(q) + (m - c)*log1p(-q) }, range + c(1e-12, -1e-12), maximum=TRUE, tol=1e-14)$maximum; c(back(q), q) }
z_of <- function(a, n, c, m, d, scale, f) { r <- ml(a, n, c, m, d, scale); p <- r[1]; q <- r[2]; v <- p*(1 - p); w <- q*(1 - q)
  if (scale == "difference") (a/n - c/m - d)/sqrt((v/n + w/m)*f) else if (scale == "ratio") (a/n - d*c/m)/sqrt((v/n + d^2*w/m)*f) else ((a/n - p)/v - (c/m - q)/w)/sqrt((1/(n*v) + 1/(m*w))*f) }
for (x in list(list(c(83, 88, 69, 76), -.1, "difference"), list(c(83, 88, 69, 76), .9, "ratio"), list(c(83, 88, 69, 76), .5, "odds ratio"), list(c(140, 200, 145, 198), -.15, "difference"), list(c(31, 120, 29, 118), .6, "odds ratio"), list(c(45, 60, 44, 61), .8, "ratio")))
  for (method in c("farrington-manning", "miettinen-nurminen")) { k <- x[[1]]; f <- if (method == "farrington-manning") 1 else sum(k[c(2, 4)])/(sum(k[c(2, 4)]) - 1); z <- z_of(k[1], k[2], k[3], k[4], x[[2]], x[[3]], f)
    a <- sprintf('{"counts": %s, "margin": %s, "better": "higher", "scale": "%s", "method": "%s"}', json(k), format(x[[2]]), x[[3]], method)
    put("equivalence_risks", a, "tests.statistic[0]", z, "score statistic, restricted likelihood by optimize()", "2e-06"); put("equivalence_risks", a, "table.p_value[0]", pnorm(z, lower.tail=FALSE), "score test, restricted likelihood by optimize()")
    if (x[[3]] == "difference") for (side in c(1, -1)) { e <- k[1]/k[2] - k[3]/k[4]; r <- uniroot(function(d) side*z_of(k[1], k[2], k[3], k[4], d, "difference", f) - qnorm(.975), sort(c(e, e - side*.3)), tol=1e-12)$root
      put("equivalence_risks", a, if (side > 0) "table.low[0]" else "table.high[0]", r, "score interval by uniroot()", "1e-05") } }

# -- equivalence of means, hazard ratio: the made-up trials of statistics_trial.csv and survival_data.csv
long <- read.csv(file.path(folder, "statistics_trial.csv")); last <- long[long$visit == 4 & long$arm != "Low" & !is.na(long$change), ]
x <- last$change[last$arm == "High"]; y <- last$change[last$arm == "Placebo"]
for (m in c(3, 6)) { lo <- t.test(x, y, mu=-m, alternative="greater"); hi <- t.test(x, y, mu=m, alternative="less"); ci <- t.test(x, y, conf.level=.9)$conf.int; a <- sprintf('{"margin": [-%d, %d], "alpha": 0.05}', m, m)
  put("equivalence_means", a, "tests.p_value[0]", lo$p.value, "t.test(mu=, alternative='greater')"); put("equivalence_means", a, "tests.p_value[1]", hi$p.value, "t.test(mu=, alternative='less')")
  put("equivalence_means", a, "table.low[0]", ci[1], "t.test(conf.level=.9)"); put("equivalence_means", a, "table.high[0]", ci[2], "t.test(conf.level=.9)") }
last$arm <- relevel(factor(last$arm), "Placebo"); f <- lm(change ~ arm + base + factor(site), last); s <- coef(summary(f))["armHigh", ]
a <- '{"margin": 1, "better": "lower", "covariates": ["base"], "factors": ["site"]}'; put("equivalence_means", a, "table.p_value[0]", pt((s[1] - 1)/s[2], f$df.residual), "lm(change ~ arm + base + factor(site))"); put("equivalence_means", a, "table.high[0]", confint(f)["armHigh", 2], "confint(lm)")
d <- read.csv(file.path(folder, "survival_data.csv")); d$arm <- relevel(factor(d$arm), "placebo"); f <- coxph(Surv(time, died) ~ arm + age, d); s <- coef(summary(f))[1, ]
a <- '{"margin": 1.3, "better": "lower"}'; put("against_margin", a, "table.p_value[0]", pnorm((s[1] - log(1.3))/s[3]), "survival 3.5.3, coxph(Surv(time, died) ~ arm + age)"); put("against_margin", a, "table.high[0]", exp(s[1] + qnorm(.975)*s[3]), "survival 3.5.3, coxph")

# -- meta-analysis: BCG (Colditz et al., JAMA 1994), and the beta-blocker-like sparse counts below, by base formulas
k <- rbind(c(4,123,11,139), c(6,306,29,303), c(3,231,11,220), c(62,13598,248,12867), c(33,5069,47,5808), c(180,1541,372,1451), c(8,2545,10,629), c(505,88391,499,88391), c(29,7499,45,7277), c(17,1716,65,1665), c(186,50634,141,27338), c(5,2498,3,2341), c(27,16913,29,17854))
a <- k[,1]; n <- k[,2]; c <- k[,3]; m <- k[,4]; b <- n - a; e <- m - c
sets <- list("risk ratio"=list(log(a/n*m/c), 1/a - 1/n + 1/c - 1/m), "odds ratio"=list(log(a*e/(b*c)), 1/a + 1/b + 1/c + 1/e), "risk difference"=list(a/n - c/m, a*b/n^3 + c*e/m^3))
for (measure in names(sets)) { y <- sets[[measure]][[1]]; v <- sets[[measure]][[2]]; K <- length(y)
  Q <- function(t) { w <- 1/(v + t); sum(w*(y - sum(w*y)/sum(w))^2) }; scale <- max(1e-3, var(y))
  root <- function(target) if (Q(0) <= target) 0 else uniroot(function(t) Q(t) - target, c(0, 1000*scale), tol=1e-15)$root
  reml <- function(t) { w <- 1/(v + t); mu <- sum(w*y)/sum(w); P <- diag(w) - outer(w, w)/sum(w); sum((w*(y - mu))^2) - sum(diag(P)) }
  t2 <- c("dersimonian-laird"=max(0, (Q(0) - (K - 1))/(sum(1/v) - sum(1/v^2)/sum(1/v))), "paule-mandel"=root(K - 1), "reml"=uniroot(reml, c(0, 100*scale), tol=1e-15)$root)
  back <- if (measure == "risk difference") identity else exp
  for (name in names(t2)) { t <- t2[name]; w <- 1/(v + t); mu <- sum(w*y)/sum(w); se <- 1/sqrt(sum(w)); hk <- sqrt(Q(t)/(K - 1))*se; s2 <- (K - 1)*sum(1/v)/(sum(1/v)^2 - sum(1/v^2))
    for (int in c("normal", "hartung-knapp")) { u <- if (int == "normal") se else hk; q <- if (int == "normal") qnorm(.975) else qt(.975, K - 1); arg <- sprintf('{"measure": "%s", "tau2": "%s", "interval": "%s"}', measure, name, int); pi <- qt(.975, K - 2)*sqrt(t + u^2)
      put("meta_analysis", arg, "table.estimate[0]", back(mu), "inverse variance, BCG trials (Colditz 1994)"); put("meta_analysis", arg, "table.se[0]", u, "inverse variance, BCG trials"); put("meta_analysis", arg, "table.low[0]", back(mu - q*u), "inverse variance, BCG trials"); put("meta_analysis", arg, "table.high[0]", back(mu + q*u), "inverse variance, BCG trials")
      put("meta_analysis", arg, "table.p_value[0]", if (int == "normal") 2*pnorm(-abs(mu/u)) else 2*pt(-abs(mu/u), K - 1), "inverse variance, BCG trials"); put("meta_analysis", arg, "table.low[2]", back(mu - pi), "prediction interval, t with k-2 df"); put("meta_analysis", arg, "table.high[2]", back(mu + pi), "prediction interval, t with k-2 df") }
    arg <- sprintf('{"measure": "%s", "tau2": "%s"}', measure, name)
    put("meta_analysis", arg, "heterogeneity.estimate[1]", t, paste("tau2,", name, "by uniroot()")); put("meta_analysis", arg, "heterogeneity.estimate[3]", t/(t + s2), "I2") }
  arg <- sprintf('{"measure": "%s"}', measure); mu <- sum(y/v)/sum(1/v)
  put("meta_analysis", arg, "heterogeneity.estimate[0]", Q(0), "Cochran's Q"); put("meta_analysis", arg, "heterogeneity.low[1]", root(qchisq(.975, K - 1)), "Q profile by uniroot()"); put("meta_analysis", arg, "heterogeneity.high[1]", root(qchisq(.025, K - 1)), "Q profile by uniroot()")
  put("meta_analysis", arg, "table.estimate[1]", back(mu), "fixed effect"); f <- summary(lm(y ~ sqrt(v), weights=1/v)); put("meta_analysis", arg, "small_studies.statistic[0]", coef(f)[2, 3], "Egger: lm(y ~ se, weights=1/v)"); put("meta_analysis", arg, "small_studies.p_value[0]", coef(f)[2, 4], "Egger: lm(y ~ se, weights=1/v)")
  r <- cor.test((y - mu)/sqrt(v - 1/sum(1/v)), v, method="kendall"); put("meta_analysis", arg, "small_studies.statistic[1]", r$estimate, "cor.test(method='kendall')"); put("meta_analysis", arg, "small_studies.p_value[1]", r$p.value, "cor.test(method='kendall')") }
mh <- mantelhaen.test(array(rbind(a, c, b, e), c(2, 2, length(a))), correct=FALSE); arg <- '{"measure": "odds ratio", "method": "mantel-haenszel"}'
put("meta_events", arg, "table.estimate[0]", mh$estimate, "mantelhaen.test"); put("meta_events", arg, "table.low[0]", mh$conf.int[1], "mantelhaen.test"); put("meta_events", arg, "table.high[0]", mh$conf.int[2], "mantelhaen.test")
N <- n + m; R <- sum(a*m/N)/sum(c*n/N); sR <- sqrt(sum((n*m*(a + c) - a*c*N)/N^2)/(sum(a*m/N)*sum(c*n/N))); arg <- '{"measure": "risk ratio", "method": "mantel-haenszel"}'
put("meta_events", arg, "table.estimate[0]", R, "Greenland & Robins 1985"); put("meta_events", arg, "table.low[0]", R*exp(-qnorm(.975)*sR), "Greenland & Robins 1985"); put("meta_events", arg, "table.high[0]", R*exp(qnorm(.975)*sR), "Greenland & Robins 1985")
O <- a - n*(a + c)/N; V <- n*m*(a + c)*(N - a - c)/(N^2*(N - 1)); arg <- '{"measure": "odds ratio", "method": "peto"}'
put("meta_events", arg, "table.estimate[0]", exp(sum(O)/sum(V)), "Yusuf et al. 1985"); put("meta_events", arg, "table.se[0]", 1/sqrt(sum(V)), "Yusuf et al. 1985"); put("meta_events", arg, "heterogeneity.estimate[0]", sum(O^2/V) - sum(O)^2/sum(V), "Yusuf et al. 1985")

# -- subgroups: interaction tests
trial <- long[long$visit == 4 & long$arm != "Low" & !is.na(long$change), ]; trial$arm <- relevel(factor(trial$arm), "Placebo"); trial$site <- factor(trial$site); trial$sex <- factor(trial$sex)
for (by in c("site", "sex")) { f <- lm(as.formula(sprintf("change ~ arm*%s + base", by)), trial); g <- lm(as.formula(sprintf("change ~ arm + %s + base", by)), trial); t <- anova(g, f); arg <- sprintf('{"by": "%s", "kind": "mean", "covariates": ["base"]}', by)
  put("subgroup_effects", arg, "interactions.statistic[0]", t$F[2], sprintf("anova(lm(change ~ arm + %s + base), lm(change ~ arm*%s + base))", by, by)); put("subgroup_effects", arg, "interactions.raw_p_value[0]", t[2, "Pr(>F)"], "anova(lm, lm)")
  f <- glm(as.formula(sprintf("response ~ arm*%s", by)), binomial, trial, epsilon=1e-12); g <- glm(as.formula(sprintf("response ~ arm + %s", by)), binomial, trial, epsilon=1e-12); arg <- sprintf('{"by": "%s", "kind": "odds ratio"}', by)
  put("subgroup_effects", arg, "interactions.statistic[0]", g$deviance - f$deviance, sprintf("anova(glm(response ~ arm + %s), glm(response ~ arm*%s))", by, by), "1e-06"); put("subgroup_effects", arg, "interactions.raw_p_value[0]", pchisq(g$deviance - f$deviance, g$df.residual - f$df.residual, lower.tail=FALSE), "anova(glm, glm)") }
for (by in c("site", "dose")) { f <- coxph(as.formula(sprintf("Surv(time, died) ~ arm*factor(%s)", by)), d); g <- coxph(as.formula(sprintf("Surv(time, died) ~ arm + factor(%s)", by)), d); s <- 2*(f$loglik[2] - g$loglik[2]); df <- length(coef(f)) - length(coef(g)); arg <- sprintf('{"by": "%s", "kind": "hazard ratio"}', by)
  put("subgroup_effects", arg, "interactions.statistic[0]", s, sprintf("survival 3.5.3, anova(coxph(~ arm + factor(%s)), coxph(~ arm*factor(%s)))", by, by)); put("subgroup_effects", arg, "interactions.raw_p_value[0]", pchisq(s, df, lower.tail=FALSE), "survival 3.5.3, anova(coxph, coxph)") }
writeLines(out, file.path(folder, "comparisons.csv"))
