# Golden values of clintrial.statistics from R; run once in this folder, the CSV is committed:   Rscript statistics.R > statistics.csv
# statistics_trial.csv is a made-up trial: 72 patients, three arms, four visits, drop-out.
options(contrasts=c("contr.treatment", "contr.poly"), warn=-1)
suppressMessages({library(nlme); library(lme4); library(lmerTest); library(pbkrtest); library(emmeans); library(MASS)})
v <- function(p) paste0(p, " ", packageVersion(p))
R <- paste0("R ", R.version$major, ".", R.version$minor)
q <- function(x) paste0('"', gsub('"', '""', x), '"')
cat("function,arguments,name,value,tolerance,source\n")
add <- function(f, a, name, value, tol, source) cat(f, q(a), q(name), format(value, digits=13, scientific=abs(value) < 1e-4, trim=TRUE), format(tol, scientific=TRUE), q(source), sep=",", fill=FALSE) -> z
line <- function(...) { add(...); cat("\n") }

long <- read.csv("statistics_trial.csv", stringsAsFactors=TRUE)
long$arm <- relevel(long$arm, "Placebo"); long$visit <- factor(long$visit)
seen <- droplevels(long[!is.na(long$change), ]); seen$v <- as.integer(seen$visit)
last <- subset(seen, visit == 4); patients <- long[!duplicated(long$patient), ]

# analysis of covariance
m <- lm(change ~ arm + base + site, last); e <- emmeans(m, "arm"); d <- as.data.frame(summary(contrast(e, "trt.vs.ctrl1"), infer=TRUE, adjust="none")); s <- paste0(R, ", lm(change ~ arm + base + site), ", v("emmeans"))
a <- '{"frame": "last", "outcome": "change", "arm": "arm", "covariates": ["base", "site"], "reference": "Placebo"}'
for (k in 1:2) { t <- as.character(d$contrast[k]); for (n in list(c("estimate", "estimate"), c("se", "SE"), c("df", "df"), c("low", "lower.CL"), c("high", "upper.CL"), c("p_value", "p.value"), c("statistic", "t.ratio"))) line("ancova", a, paste0("table:", t, ":", n[1]), d[k, n[2]], 1e-6, s) }
f <- as.data.frame(e); for (k in 1:3) for (n in list(c("estimate", "emmean"), c("se", "SE"))) line("ancova", a, paste0("means:", f$arm[k], ":", n[1]), f[k, n[2]], 1e-6, s)
a2 <- sub('"reference"', '"margins": "observed", "reference"', a); f <- as.data.frame(emmeans(m, "arm", weights="proportional")); for (k in 1:3) line("ancova", a2, paste0("means:", f$arm[k], ":estimate"), f$emmean[k], 1e-6, paste0(s, ", weights='proportional'"))
g <- drop1(m, test="F"); for (n in c("arm", "base", "site")) { line("ancova", a, paste0("tests:", n, ":statistic"), g[n, "F value"], 1e-6, paste0(R, ", drop1(lm(change ~ arm + base + site), test='F')")); line("ancova", a, paste0("tests:", n, ":p_value"), g[n, "Pr(>F)"], 1e-6, paste0(R, ", drop1(lm(…), test='F')")) }
m <- lm(change ~ dose + base + site, last); g <- coef(summary(m))["dose", ]; ci <- confint(m)["dose", ]; a <- '{"frame": "last", "outcome": "change", "dose": "dose", "covariates": ["base", "site"]}'; s <- paste0(R, ", lm(change ~ dose + base + site)")
w <- c(g[1], g[2], g[4], ci); n <- c("estimate", "se", "p_value", "low", "high"); for (k in 1:5) line("dose_response", a, paste0("table:slope per unit of 'dose':", n[k]), w[k], 1e-6, s)
two <- droplevels(subset(last, arm != "Low"))
for (eq in c(FALSE, TRUE)) { h <- t.test(change ~ factor(arm, levels=c("High", "Placebo")), two, var.equal=eq); a <- paste0('{"frame": "high", "outcome": "change", "arm": "arm", "reference": "Placebo", "equal_variances": ', tolower(eq), '}'); w <- c(h$estimate[1] - h$estimate[2], h$conf.int, h$p.value, h$statistic, h$parameter); n <- c("estimate", "low", "high", "p_value", "statistic", "df"); for (k in 1:6) line("t_test", a, paste0("table:High - Placebo:", n[k]), w[k], 1e-6, paste0(R, ", t.test(var.equal=", eq, ")")) }

# counts: rows are arms (reference first), columns no event and event
exact <- function(x) { m <- sum(x[2, ]); n <- sum(x[1, ]); k <- sum(x[, 2]); a <- x[2, 2]; s <- max(0, k - n):min(k, m); l <- dhyper(s, m, n, k, log=TRUE)
  d <- function(t) { p <- l + t*s; p <- exp(p - max(p)); p/sum(p) }; root <- function(f) exp(uniroot(f, c(-12, 12), tol=1e-13)$root)
  c(root(function(t) sum(s*d(t)) - a), root(function(t) sum(d(t)[s >= a]) - .025), root(function(t) sum(d(t)[s <= a]) - .025)) }
tables <- list(c(35, 17, 17, 38), c(9, 1, 5, 4), c(20, 2, 14, 9), c(79, 7, 60, 24), c(3, 12, 8, 5))
for (t in tables) { x <- matrix(t, 2, byrow=TRUE); a <- paste0('{"counts": [[', t[1], ", ", t[2], "], [", t[3], ", ", t[4], "]]}")
  h <- fisher.test(x); w <- c(exact(x), h$p.value); n <- c("estimate", "low", "high", "p_value"); for (k in 1:4) line("fisher", a, paste0("table:b - a:", n[k]), w[k], 1e-6, if (k == 4) paste0(R, ", fisher.test") else paste0(R, ", fisher.test's equations (dhyper with odds) solved by uniroot to 1e-13, where fisher.test stops at 1e-4"))
  for (co in c(FALSE, TRUE)) { h <- chisq.test(x, correct=co); b <- sub("}", paste0(', "correction": ', tolower(co), "}"), a); line("chi_square", b, "table:Cramér's V:statistic", h$statistic, 1e-6, paste0(R, ", chisq.test(correct=", co, ")")); line("chi_square", b, "table:Cramér's V:p_value", h$p.value, 1e-6, paste0(R, ", chisq.test(correct=", co, ")")) }
  h <- prop.test(c(t[4], t[2]), c(t[3] + t[4], t[1] + t[2]), correct=FALSE); b <- sub("}", ', "method": "wald"}', a); w <- c(h$estimate[1] - h$estimate[2], h$conf.int, h$p.value); n <- c("estimate", "low", "high", "p_value"); for (k in 1:4) line("risk_difference", b, paste0("table:b - a:", n[k]), w[k], 1e-6, paste0(R, ", prop.test(correct=FALSE)"))
  g <- coef(summary(glm(cbind(c(t[2], t[4]), c(t[1], t[3])) ~ c(0, 1), family=binomial, control=list(epsilon=1e-14)))); w <- exp(g[2, 1] + c(0, -1, 1)*qnorm(.975)*g[2, 2]); n <- c("estimate", "low", "high"); for (k in 1:3) line("odds_ratio", a, paste0("table:b / a:", n[k]), w[k], 1e-6, paste0(R, ", exp of glm(binomial) and its Wald interval"))
}
wide <- list(list(c(78, 8), c(40, 44), c(45, 39)), list(c(83, 3), c(84, 0), c(83, 1)), list(c(14, 42, 30), c(8, 47, 29), c(11, 55, 18)), list(c(20, 3, 4), c(10, 8, 7), c(3, 9, 9), c(2, 4, 6)), list(c(5, 9, 2, 1), c(3, 4, 7, 6)))
for (t in wide) { x <- do.call(rbind, t); a <- paste0('{"counts": [', paste(sapply(t, function(r) paste0("[", paste(r, collapse=", "), "]")), collapse=", "), "]}"); line("fisher", a, "table:all arms:p_value", fisher.test(x, workspace=2e8)$p.value, 1e-6, paste0(R, ", fisher.test")); h <- chisq.test(x); line("chi_square", a, "table:Cramér's V:statistic", h$statistic, 1e-6, paste0(R, ", chisq.test")); line("chi_square", a, "table:Cramér's V:p_value", h$p.value, 1e-6, paste0(R, ", chisq.test")) }

# within strata: arrays arms × levels × strata
strata <- list(list(c(20, 5, 11, 16), c(19, 7, 16, 12)), list(c(12, 3, 8, 9), c(5, 8, 2, 11), c(14, 1, 10, 6)), list(c(30, 10, 22, 19), c(8, 15, 6, 17), c(11, 4, 9, 9), c(20, 21, 18, 20)))
for (t in strata) { x <- array(unlist(lapply(t, function(r) matrix(r, 2, byrow=TRUE))), c(2, 2, length(t))); a <- paste0('{"tables": [', paste(sapply(t, function(r) paste0("[[", r[1], ", ", r[2], "], [", r[3], ", ", r[4], "]]")), collapse=", "), "]}")
  h <- mantelhaen.test(x, correct=FALSE); w <- c(h$estimate, h$conf.int, h$p.value, h$statistic); n <- c("estimate", "low", "high", "p_value", "statistic"); for (k in 1:5) line("cmh_test", a, paste0("table:odds ratio (Mantel-Haenszel):", n[k]), w[k], 1e-6, paste0(R, ", mantelhaen.test(correct=FALSE)")) }
t <- list(list(c(19, 7, 6), c(6, 5, 16)), list(c(10, 0, 1), c(7, 2, 5))); x <- array(unlist(lapply(t, function(r) do.call(rbind, r))), c(2, 3, 2)); h <- mantelhaen.test(x); a <- '{"tables": [[[19, 7, 6], [6, 5, 16]], [[10, 0, 1], [7, 2, 5]]]}'
line("cmh_test", a, "tests:general association:statistic", h$statistic, 1e-6, paste0(R, ", mantelhaen.test")); line("cmh_test", a, "tests:general association:p_value", h$p.value, 1e-6, paste0(R, ", mantelhaen.test"))

# logistic and ordinal regression
m <- glm(response ~ arm + age + sex, binomial, patients, control=list(epsilon=1e-14)); g <- coef(summary(m)); rn <- c("arm[High]", "arm[Low]", "age", "sex[M]"); a <- '{"frame": "patients", "outcome": "response", "arm": "arm", "covariates": ["age", "sex"], "reference": "Placebo"}'
for (k in 1:4) { n <- c("coefficient", "se", "p_value"); for (j in 1:3) line("logistic", a, paste0("coefficients:", rn[k], ":", n[j]), g[c("armHigh", "armLow", "age", "sexM")[k], c(1, 2, 4)[j]], 1e-6, paste0(R, ", glm(response ~ arm + age + sex, binomial)")) }
m <- polr(factor(grade) ~ arm + age + sex, patients, Hess=TRUE, control=list(reltol=1e-16, maxit=2000)); g <- coef(summary(m))
for (k in 1:4) { r <- c("armHigh", "armLow", "age", "sexM")[k]; line("ordinal", a2 <- '{"frame": "patients", "outcome": "grade", "arm": "arm", "covariates": ["age", "sex"], "reference": "Placebo"}', paste0("coefficients:", rn[k], ":coefficient"), g[r, 1], 1e-6, paste0(R, ", ", v("MASS"), ", polr(grade ~ arm + age + sex)")); line("ordinal", a2, paste0("coefficients:", rn[k], ":se"), g[r, 2], 1e-5, paste0(R, ", ", v("MASS"), ", polr, Hessian by differences")) }
line("ordinal", a2, "log_likelihood", as.numeric(logLik(m)), 1e-6, paste0(R, ", ", v("MASS"), ", polr"))

# baseline table's tests
for (n in c("age", "base")) { line("baseline_table", paste0('{"frame": "patients", "arm": "arm", "variables": ["', n, '"], "tests": {"', n, '": "anova"}, "reference": "Placebo"}'), paste0("table:", n, ": High - Placebo:p_value"), anova(lm(patients[[n]] ~ patients$arm))[1, "Pr(>F)"], 1e-6, paste0(R, ", anova(lm)")); line("baseline_table", paste0('{"frame": "patients", "arm": "arm", "variables": ["', n, '"], "tests": {"', n, '": "kruskal"}, "reference": "Placebo"}'), paste0("table:", n, ": High - Placebo:p_value"), kruskal.test(patients[[n]], patients$arm)$p.value, 1e-6, paste0(R, ", kruskal.test")) }
line("baseline_table", '{"frame": "patients", "arm": "arm", "variables": ["site"], "tests": {"site": "fisher"}, "reference": "Placebo"}', "table:site: High - Placebo:p_value", fisher.test(table(patients$site, patients$arm))$p.value, 1e-6, paste0(R, ", fisher.test")); line("baseline_table", '{"frame": "patients", "arm": "arm", "variables": ["site"], "tests": {"site": "chi2"}, "reference": "Placebo"}', "table:site: High - Placebo:p_value", chisq.test(table(patients$site, patients$arm))$p.value, 1e-6, paste0(R, ", chisq.test"))

# repeated measures
arg <- function(cov, df) paste0('{"frame": "long", "outcome": "change", "arm": "arm", "visit": "visit", "subject": "patient", "covariates": ["site", "base"], "by_visit": ["base"], "covariance": "', cov, '", "df": "', df, '", "reference": "Placebo"}')
l <- lmer(change ~ arm*visit + site + base*visit + (1|patient), seen, control=lmerControl(optCtrl=list(ftol_abs=1e-16, xtol_abs=1e-14, maxeval=5000)))
for (df in c("satterthwaite", "kenward-roger")) { d <- as.data.frame(summary(contrast(emmeans(l, ~arm|visit, lmer.df=df), "trt.vs.ctrl1"), infer=TRUE, adjust="none")); s <- paste0(R, ", ", v("lme4"), ", ", if (df == "satterthwaite") v("lmerTest") else v("pbkrtest"), ", ", v("emmeans"), ", lmer(change ~ arm*visit + site + base*visit + (1|patient))")
  for (k in 1:nrow(d)) for (n in list(c("estimate", "estimate"), c("se", "SE"), c("df", "df"), c("p_value", "p.value"))) line("mmrm", arg("compound symmetry", df), paste0("table:", d$contrast[k], " at ", d$visit[k], ":", n[1]), d[k, n[2]], if (n[1] == "df") 1e-6 else 1e-6, s) }
line("mmrm", arg("compound symmetry", "kenward-roger"), "fit:log_likelihood", as.numeric(logLik(l)), 1e-6, s)
K <- function(L) KRmodcomp(l, L)$test["Ftest", ]
X <- names(fixef(l)); for (t in list(c("arm × visit", "arm.*:visit|visit.*:arm"), c("site", "^site"))) { at <- grep(t[2], X); L <- matrix(0, length(at), length(X)); L[cbind(seq_along(at), at)] <- 1; h <- K(L); for (n in list(c("statistic", "stat"), c("df_residual", "ddf"), c("p_value", "p.value"))) line("mmrm", arg("compound symmetry", "kenward-roger"), paste0("tests:", t[1], ":", n[1]), as.numeric(h[[n[2]]]), if (n[1] == "df_residual") 1e-6 else 1e-6, paste0(R, ", ", v("pbkrtest"), ", KRmodcomp")) }
controls <- list(glsControl(maxIter=500, msMaxIter=500, tolerance=1e-12, msTol=1e-14), glsControl(maxIter=500, msMaxIter=5000, tolerance=1e-12, msTol=1e-16, opt="optim", optimMethod="BFGS"), glsControl(maxIter=500, msMaxIter=20000, tolerance=1e-12, msTol=1e-16, opt="optim", optimMethod="Nelder-Mead"))
best <- function(...) { found <- lapply(controls, function(control) try(gls(..., control=control), silent=TRUE)); found <- Filter(function(m) !inherits(m, "try-error"), found); found[[which.max(sapply(found, logLik))]] }   # nlminb, the default, stops early
form <- change ~ arm*visit + site + base*visit; het <- varIdent(form=~1|visit)
fits <- list("unstructured"=best(form, seen, corSymm(form=~v|patient), het), "compound symmetry"=best(form, seen, corCompSymm(form=~v|patient)), "heterogeneous compound symmetry"=best(form, seen, corCompSymm(form=~v|patient), het), "AR(1)"=best(form, seen, corAR1(form=~v|patient)), "heterogeneous AR(1)"=best(form, seen, corAR1(form=~v|patient), het), "diagonal"=best(form, seen, weights=het))
for (n in names(fits)) { m <- fits[[n]]; s <- paste0(R, ", ", v("nlme"), ", ", v("emmeans"), ", gls(change ~ arm*visit + site + base*visit)"); line("mmrm", arg(n, "satterthwaite"), "fit:log_likelihood", as.numeric(logLik(m)), 1e-6, s)
  d <- as.data.frame(contrast(emmeans(m, ~arm|visit, mode="df.error", data=seen), "trt.vs.ctrl1", adjust="none")); for (k in 7:8) { line("mmrm", arg(n, "satterthwaite"), paste0("table:", d$contrast[k], " at ", d$visit[k], ":estimate"), d$estimate[k], 1e-6, paste0(s, "")); line("mmrm", arg(n, "satterthwaite"), paste0("table:", d$contrast[k], " at ", d$visit[k], ":se"), d$SE[k], 1e-6, paste0(s, "")) }
  if (n == "unstructured") { f <- as.data.frame(emmeans(m, ~arm|visit, mode="df.error", data=seen)); for (k in 10:12) line("mmrm", arg(n, "satterthwaite"), paste0("means:", f$arm[k], ",", f$visit[k], ":estimate"), f$emmean[k], 1e-6, s) } }
