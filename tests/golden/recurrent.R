# Golden values of clintrial.statistics.recurrent from R's survival and MASS; run once, the CSVs are committed:   Rscript tests/golden/recurrent.R tests/golden
# bladder_data.csv: recurrences of bladder cancer in 85 patients (Byar 1980; Andrews & Herzberg 1985; Wei, Lin & Weissfeld 1989), as in survival's bladder2.
suppressMessages({library(survival); library(MASS)}); options(digits=15)
folder <- commandArgs(TRUE)[1]; b <- bladder2; b$arm <- ifelse(b$rx == 1, "placebo", "thiotepa"); b <- b[, c("id", "arm", "number", "size", "start", "stop", "event", "enum")]
write.csv(b, file.path(folder, "bladder_data.csv"), row.names=FALSE)
quoted <- function(x) paste0('"', gsub('"', '""', x), '"'); out <- "function,arguments,name,value,tolerance,source"
put <- function(fun, args, name, value, call, tolerance="1e-06", package="survival") out <<- c(out, sprintf("%s,%s,%s,%s,%s,%s", fun, quoted(args), quoted(name), format(value, digits=15), tolerance, quoted(paste0("R ", R.version$major, ".", R.version$minor, ", ", package, " ", packageVersion(package), ", ", call))))
control <- coxph.control(eps=1e-12)
model <- function(args, f, call, robust=TRUE) { s <- summary(f)$coef; for (i in 1:nrow(s)) { put("andersen_gill", args, sprintf("table.coefficient[%d]", i-1), s[i, 1], call); put("andersen_gill", args, sprintf("table.se[%d]", i-1), s[i, if (robust) 4 else 3], call)
  if (robust) put("andersen_gill", args, sprintf("table.model_se[%d]", i-1), s[i, 3], call); put("andersen_gill", args, sprintf("table.p_value[%d]", i-1), s[i, ncol(s)], call) } }
model('{"arm": "arm", "covariates": ["number", "size"]}', coxph(Surv(start, stop, event) ~ arm + number + size, b, cluster=id, control=control), "coxph(Surv(start, stop, event) ~ arm + number + size, bladder2, cluster=id)")
model('{"arm": "arm", "covariates": ["number", "size"], "robust": false}', coxph(Surv(start, stop, event) ~ arm + number + size, b, control=control), "coxph(Surv(start, stop, event) ~ arm + number + size, bladder2)", FALSE)
model('{"arm": "arm", "covariates": ["number", "size"], "ties": "breslow"}', coxph(Surv(start, stop, event) ~ arm + number + size, b, cluster=id, ties="breslow", control=control), "coxph(Surv(start, stop, event) ~ arm + number + size, bladder2, cluster=id, ties='breslow')")
model('{"arm": "arm", "covariates": ["number", "size"], "strata": "enum"}', coxph(Surv(start, stop, event) ~ arm + number + size + strata(enum), b, cluster=id, control=control), "coxph(Surv(start, stop, event) ~ arm + number + size + strata(enum), bladder2, cluster=id)")
f <- summary(survfit(Surv(start, stop, event) ~ arm, b, id=id, ctype=1), times=c(6, 12, 24, 36)); call <- "survfit(Surv(start, stop, event) ~ arm, bladder2, id=id)$cumhaz"
for (i in 1:8) { put("mean_cumulative_function", '{"arm": "arm", "times": [6, 12, 24, 36]}', sprintf("at_times.estimate[%d]", i-1), f$cumhaz[i], call); put("mean_cumulative_function", '{"arm": "arm", "times": [6, 12, 24, 36]}', sprintf("at_times.se[%d]", i-1), f$std.chaz[i], call) }
k <- aggregate(cbind(event, time=stop - start) ~ id + arm + number + size, b, sum); k0 <- k
negbin <- function(args, f, call) { s <- summary(f)$coef; for (i in 2:nrow(s)) { put("negative_binomial", args, sprintf("table.coefficient[%d]", i-2), s[i, 1], call, package="MASS"); put("negative_binomial", args, sprintf("table.se[%d]", i-2), s[i, 2], call, package="MASS", tolerance="1e-05") }
  put("negative_binomial", args, "dispersion", 1/f$theta, call, package="MASS", tolerance="1e-05"); put("negative_binomial", args, "loglik[1]", as.numeric(logLik(f)), call, package="MASS") }
tight <- glm.control(1e-13, 200)
negbin('{"arm": "arm", "covariates": ["number", "size"]}', glm.nb(event ~ arm + number + size + offset(log(time)), k, control=tight), "glm.nb(event ~ arm + number + size + offset(log(time)), bladder2 by patient)")
negbin('{"arm": "arm"}', glm.nb(event ~ arm + offset(log(time)), k, control=tight), "glm.nb(event ~ arm + offset(log(time)), bladder2 by patient)")
p <- glm(event ~ arm + number + size + offset(log(time)), poisson, k, control=tight); put("negative_binomial", '{"arm": "arm", "covariates": ["number", "size"]}', "loglik[0]", as.numeric(logLik(p)), "glm(…, poisson)", package="stats")
writeLines(out, file.path(folder, "recurrent.csv"))
