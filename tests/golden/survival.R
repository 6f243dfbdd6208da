# Golden values of clintrial.statistics' survival rooms from R's survival package; run once, the CSVs are committed:   Rscript tests/golden/survival.R tests/golden
suppressMessages(library(survival)); options(digits=15)
folder <- commandArgs(TRUE)[1]
set.seed(20); n <- 200
d <- data.frame(id=1:n, arm=rep(c("drug", "placebo"), n/2), age=round(rnorm(n, 60, 9)), site=sample(c("a", "b", "c"), n, TRUE), dose=sample(0:2, n, TRUE))
u <- rexp(n, ifelse(d$arm == "drug", .04, .07)*exp(.02*(d$age - 60))); v <- rexp(n, .025); w <- runif(n, 5, 40)
d$time <- ceiling(pmin(u, v, w)); d$status <- ifelse(u <= pmin(v, w), 1, ifelse(v <= w, 2, 0)); d$died <- as.integer(d$status == 1); d$any <- as.integer(d$status > 0)
write.csv(d, file.path(folder, "survival_data.csv"), row.names=FALSE)
r <- do.call(rbind, lapply(1:n, function(i) { t <- sort(runif(rpois(1, rgamma(1, 1.2, 1.2)*ifelse(d$arm[i] == "drug", .06, .11)*w[i]), 0, w[i])); t <- unique(ceiling(t*10)/10); stop <- ceiling(w[i]*10)/10 + .1
  data.frame(id=i, arm=d$arm[i], age=d$age[i], start=c(0, t), stop=c(t, stop), event=c(rep(1, length(t)), 0)) }))
write.csv(r, file.path(folder, "recurrent_data.csv"), row.names=FALSE)
version <- paste0("R ", R.version$major, ".", R.version$minor, ", survival ", packageVersion("survival"))
quoted <- function(x) paste0('"', gsub('"', '""', x), '"')
out <- "function,arguments,name,value,tolerance,source"
put <- function(fun, args, name, value, call, tolerance="1e-06") out <<- c(out, sprintf("%s,%s,%s,%s,%s,%s", fun, quoted(args), quoted(name), format(value, digits=15), tolerance, quoted(paste0(version, ", ", call))))
d$arm <- relevel(factor(d$arm), "placebo")
for (type in c("log", "log-log", "plain")) {
  f <- survfit(Surv(time, died) ~ arm, d, conf.type=type); q <- quantile(f, .5); s <- summary(f, times=c(6, 12, 24))
  a <- sprintf('{"arm": "arm", "transform": "%s", "times": [6, 12, 24]}', type); call <- sprintf("survfit(Surv(time, died) ~ arm, conf.type='%s')", type)
  for (i in 1:2) { put("kaplan_meier", a, sprintf("table.estimate[%d]", i-1), q$quantile[i], call, "1e-06"); put("kaplan_meier", a, sprintf("table.low[%d]", i-1), q$lower[i], call, "1e-04"); put("kaplan_meier", a, sprintf("table.high[%d]", i-1), q$upper[i], call, "1e-04") }
  for (i in 1:6) for (x in list(c("estimate", "surv"), c("se", "std.err"), c("low", "lower"), c("high", "upper"), c("at_risk", "n.risk"))) put("kaplan_meier", a, sprintf("at_times.%s[%d]", x[1], i-1), s[[x[2]]][i], call) }
test <- function(args, f, call, df) { put("log_rank", args, "table.statistic[0]", f$chisq, call); put("log_rank", args, "table.p_value[0]", pchisq(f$chisq, df, lower.tail=FALSE), call) }
f <- survdiff(Surv(time, died) ~ arm, d); test('{"arm": "arm"}', f, "survdiff(Surv(time, died) ~ arm)", 1); for (i in 1:2) put("log_rank", '{"arm": "arm"}', sprintf("arms.expected[%d]", i-1), f$exp[i], "survdiff(Surv(time, died) ~ arm)")
test('{"arm": "arm", "strata": "site"}', survdiff(Surv(time, died) ~ arm + strata(site), d), "survdiff(Surv(time, died) ~ arm + strata(site))", 1)
test('{"arm": "arm", "weights": "fleming-harrington", "rho": 1}', survdiff(Surv(time, died) ~ arm, d, rho=1), "survdiff(Surv(time, died) ~ arm, rho=1)", 1)
test('{"arm": "arm", "weights": "fleming-harrington", "rho": 0.5, "strata": "site"}', survdiff(Surv(time, died) ~ arm + strata(site), d, rho=.5), "survdiff(Surv(time, died) ~ arm + strata(site), rho=.5)", 1)
test('{"arm": "site"}', survdiff(Surv(time, died) ~ site, d), "survdiff(Surv(time, died) ~ site)", 2)
test('{"arm": "dose"}', survdiff(Surv(time, died) ~ dose, d), "survdiff(Surv(time, died) ~ dose)", 2)
for (tau in c(12, 24)) { f <- summary(survfit(Surv(time, died) ~ arm, d), rmean=tau)$table; for (i in 1:2) { a <- sprintf('{"arm": "arm", "tau": %d}', tau); call <- sprintf("summary(survfit(Surv(time, died) ~ arm), rmean=%d)", tau)
  put("rmst", a, sprintf("table.estimate[%d]", i-1), f[i, "rmean"], call); put("rmst", a, sprintf("table.se[%d]", i-1), f[i, "se(rmean)"], call) } }
model <- function(args, f, call, zph=TRUE, robust=FALSE) { s <- summary(f); k <- nrow(s$coef)
  for (i in 1:k) { put("cox", args, sprintf("table.coefficient[%d]", i-1), s$coef[i, 1], call); put("cox", args, sprintf("table.se[%d]", i-1), s$coef[i, if (robust) 4 else 3], call); put("cox", args, sprintf("table.p_value[%d]", i-1), s$coef[i, ncol(s$coef)], call); put("cox", args, sprintf("table.low[%d]", i-1), s$conf.int[i, 3], call); put("cox", args, sprintf("table.high[%d]", i-1), s$conf.int[i, 4], call) }
  put("cox", args, "tests.statistic[0]", s$logtest[1], call); put("cox", args, "tests.statistic[1]", s$sctest[1], call)
  if (zph) { z <- cox.zph(f)$table; for (i in 1:nrow(z)) { put("cox", args, sprintf("proportionality.statistic[%d]", i-1), z[i, 1], paste("cox.zph of", call)); put("cox", args, sprintf("proportionality.p_value[%d]", i-1), z[i, 3], paste("cox.zph of", call)) } } }
control <- coxph.control(eps=1e-12)
for (t in c("efron", "breslow", "exact")) model(sprintf('{"arm": "arm", "covariates": ["age"], "ties": "%s"}', t), coxph(Surv(time, died) ~ arm + age, d, ties=t, control=control), sprintf("coxph(Surv(time, died) ~ arm + age, ties='%s')", t), zph=t != "exact")
model('{"arm": "arm", "covariates": ["age"], "strata": "site"}', coxph(Surv(time, died) ~ arm + age + strata(site), d, control=control), "coxph(Surv(time, died) ~ arm + age + strata(site))")
model('{"arm": "arm", "covariates": ["age", "site"]}', coxph(Surv(time, died) ~ arm + age + site, d, control=control), "coxph(Surv(time, died) ~ arm + age + site)")
model('{"arm": "arm", "covariates": ["age"], "robust": true}', coxph(Surv(time, died) ~ arm + age, d, robust=TRUE, control=control), "coxph(Surv(time, died) ~ arm + age, robust=TRUE)", robust=TRUE)
model('{"arm": "arm", "covariates": ["age"], "cluster": "site"}', coxph(Surv(time, died) ~ arm + age, d, cluster=site, control=control), "coxph(Surv(time, died) ~ arm + age, cluster=site)", robust=TRUE)
g <- finegray(Surv(time, factor(status)) ~ ., d, etype="1", id=id); f <- coxph(Surv(fgstart, fgstop, fgstatus) ~ arm + age, g, weights=fgwt, cluster=id, control=control); s <- summary(f)$coef; call <- "coxph(Surv(fgstart, fgstop, fgstatus) ~ arm + age, finegray(…, etype=1), weights=fgwt, cluster=id)"
for (i in 1:2) { put("fine_gray", '{"arm": "arm", "covariates": ["age"]}', sprintf("table.coefficient[%d]", i-1), s[i, 1], call); put("fine_gray", '{"arm": "arm", "covariates": ["age"]}', sprintf("table.se[%d]", i-1), s[i, 4], call) }
f <- summary(survfit(Surv(time, factor(status)) ~ arm, d), times=c(6, 12, 24)); call <- "survfit(Surv(time, factor(status)) ~ arm)"
for (i in 1:6) { put("cumulative_incidence", '{"arm": "arm", "times": [6, 12, 24], "of": 1}', sprintf("at_times.estimate[%d]", i-1), f$pstate[i, 2], call); put("cumulative_incidence", '{"arm": "arm", "times": [6, 12, 24], "of": 1}', sprintf("at_times.se[%d]", i-1), f$std.err[i, 2], paste(call, "(infinitesimal jackknife)"), "2e-03") }
f <- coxph(Surv(start, stop, event) ~ relevel(factor(arm), "placebo") + age, r, cluster=id, control=control); s <- summary(f)$coef; call <- "coxph(Surv(start, stop, event) ~ arm + age, cluster=id)"
for (i in 1:2) { put("andersen_gill", '{"arm": "arm", "covariates": ["age"]}', sprintf("table.coefficient[%d]", i-1), s[i, 1], call); put("andersen_gill", '{"arm": "arm", "covariates": ["age"]}', sprintf("table.se[%d]", i-1), s[i, 4], call); put("andersen_gill", '{"arm": "arm", "covariates": ["age"]}', sprintf("table.p_value[%d]", i-1), s[i, 6], call) }
f <- summary(survfit(Surv(start, stop, event) ~ relevel(factor(arm), "placebo"), r, id=id, ctype=1), times=c(5, 15, 25)); call <- "survfit(Surv(start, stop, event) ~ arm, id=id)$cumhaz"
for (i in 1:6) { put("mean_cumulative_function", '{"arm": "arm", "times": [5, 15, 25]}', sprintf("at_times.estimate[%d]", i-1), f$cumhaz[i], call); put("mean_cumulative_function", '{"arm": "arm", "times": [5, 15, 25]}', sprintf("at_times.se[%d]", i-1), f$std.chaz[i], call) }
library(MASS); k <- aggregate(cbind(event, stop) ~ id + arm + age, transform(r, stop=stop - start), sum); f <- glm.nb(event ~ relevel(factor(arm), "placebo") + age + offset(log(stop)), k, control=glm.control(1e-12, 100)); s <- summary(f)$coef
for (i in 2:3) put("negative_binomial", '{"arm": "arm", "covariates": ["age"]}', sprintf("table.coefficient[%d]", i-2), s[i, 1], "MASS::glm.nb(event ~ arm + age + offset(log(stop)))", "1e-05")
for (m in c("holm", "hochberg", "hommel", "bonferroni")) { p <- p.adjust(c(.011, .02, .0045, .31, .049), m); for (i in 1:5) put("adjust", sprintf('{"p_values": [0.011, 0.02, 0.0045, 0.31, 0.049], "method": "%s"}', m), sprintf("table.p_value[%d]", i-1), p[i], sprintf("p.adjust(method='%s')", m)) }
writeLines(out, file.path(folder, "survival.csv"))
