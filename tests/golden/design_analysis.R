# Golden values of final and interim analyses and of the CRM from R; the CSV is committed:   Rscript tests/golden/design_analysis.R > tests/golden/design_analysis.csv
suppressMessages(library(rpact)); options(digits=12)
version <- paste0("R ", R.version$major, ".", R.version$minor, ", rpact ", packageVersion("rpact"))
quoted <- function(x) paste0('"', gsub('"', '""', x), '"')
num <- function(x) format(x, digits=15, scientific=FALSE, trim=TRUE)
add <- function(fun, args, name, value, tolerance, source) cat(fun, ",", quoted(args), ",", quoted(name), ",", format(value, digits=12, scientific=FALSE, trim=TRUE), ",", tolerance, ",", quoted(source), "\n", sep="")
cat("function,arguments,name,value,tolerance,source\n")
quiet <- function(x) { sink(nullfile()); on.exit(sink()); suppressMessages(force(x)) }

cases <- list(
  list(json='"looks": 3, "bounds": "lan_demets_obrien_fleming"', call="kMax=3, alpha=.025, sided=1, typeOfDesign='asOF'", d=getDesignGroupSequential(kMax=3, alpha=.025, sided=1, typeOfDesign="asOF")),
  list(json='"looks": 3, "bounds": "pocock"', call="kMax=3, alpha=.025, sided=1, typeOfDesign='P'", d=getDesignGroupSequential(kMax=3, alpha=.025, sided=1, typeOfDesign="P")),
  list(json='"looks": 4, "bounds": "hwang_shih_decani", "parameter": -2', call="kMax=4, alpha=.025, sided=1, typeOfDesign='asHSD', gammaA=-2", d=getDesignGroupSequential(kMax=4, alpha=.025, sided=1, typeOfDesign="asHSD", gammaA=-2)))
for (case in cases) {
  d <- case$d
  for (means in list(c(.45, .40), c(.30, .62))) {
    data <- getDataset(sampleSizes=c(40, 40), means=means, stDevs=c(1, 1))
    s <- quiet(getStageResults(d, data, thetaH0=0, normalApproximation=TRUE, directionUpper=TRUE, stage=2))
    z <- s$overallTestStatistics; est <- s$overallMeans; se <- est/z
    said <- paste0(version, ", design ", case$call, "; getDataset(sampleSizes=c(40,40), means=c(", paste(means, collapse=","), "), stDevs=c(1,1))")
    if (z[2] >= d$criticalValues[2] && z[1] < d$criticalValues[1]) {
      f <- quiet(getFinalConfidenceInterval(d, data, thetaH0=0, normalApproximation=TRUE, directionUpper=TRUE, stage=2))
      p <- quiet(getFinalPValue(s))
      args <- paste0('{"design": {', case$json, '}, "look": 2, "estimate": ', num(est[2]), ', "se": ', num(se[2]), '}')
      add("final_analysis", args, "table.p_value[0]", p$pFinal, 1e-6, paste0(said, ", getFinalPValue"))
      add("final_analysis", args, "table.estimate[0]", f$medianUnbiased, 1e-5, paste0(said, ", getFinalConfidenceInterval, medianUnbiased (rpact searches to about 1e-6)"))
      add("final_analysis", args, "table.low[0]", f$finalConfidenceInterval[1], 1e-5, paste0(said, ", getFinalConfidenceInterval"))
      add("final_analysis", args, "table.high[0]", f$finalConfidenceInterval[2], 1e-5, paste0(said, ", getFinalConfidenceInterval"))
    }
    r <- quiet(getRepeatedPValues(s, tolerance=1e-10)); ci <- quiet(getRepeatedConfidenceIntervals(d, data, normalApproximation=TRUE, stage=2, tolerance=1e-10))
    args <- paste0('{"design": {', case$json, '}, "estimates": [', num(est[1]), ", ", num(est[2]), '], "ses": [', num(se[1]), ", ", num(se[2]), ']}')
    for (k in 1:2) {
      add("repeated_interval", args, paste0("table.p_value[", k - 1, "]"), r[k], 1e-6, paste0(said, ", getRepeatedPValues(tolerance=1e-10)"))
      add("repeated_interval", args, paste0("table.low[", k - 1, "]"), ci[1, k], 1e-5, paste0(said, ", getRepeatedConfidenceIntervals"))
      add("repeated_interval", args, paste0("table.high[", k - 1, "]"), ci[2, k], 1e-5, paste0(said, ", getRepeatedConfidenceIntervals"))
    }
  }
  one <- getDataset(sampleSizes=40, means=.2, stDevs=1)
  s <- quiet(getStageResults(d, one, thetaH0=0, normalApproximation=TRUE, directionUpper=TRUE, stage=1))
  for (theta in c(0, .2, .3)) {
    left <- rep(40, d$kMax - 1)
    cp <- quiet(getConditionalPower(s, nPlanned=left, thetaH1=theta, assumedStDev=1))$conditionalPower
    add("success_from", paste0('{"design": {', case$json, '}, "look": 1, "z": ', num(s$overallTestStatistics[1]), ', "drift": ', num(theta*sqrt(40*d$kMax)), '}'), "", cp[d$kMax], 1e-6,
        paste0(version, ", design ", case$call, "; getConditionalPower(nPlanned=rep(40, ", d$kMax - 1, "), thetaH1=", theta, ", assumedStDev=1) after getDataset(sampleSizes=40, means=.2, stDevs=1)"))
  }
}
for (x in list(c(.6, .4, 200), c(.3, .15, 240), c(.5, .35, 300)))
  add("power_proportions", paste0('{"n": ', x[3], ', "treatment": ', x[1], ', "control": ', x[2], ', "alpha": 0.025, "sided": 1}'), "", getPowerRates(sided=1, alpha=.025, pi1=x[1], pi2=x[2], maxNumberOfSubjects=x[3])$overallReject, 1e-6, paste0(version, ", getPowerRates(sided=1, alpha=.025, pi1=", x[1], ", pi2=", x[2], ", maxNumberOfSubjects=", x[3], ")$overallReject"))
for (x in list(c(5, 12, 200), c(1, 3, 150), c(.5, 1, 64)))
  add("power_means", paste0('{"n": ', x[3], ', "difference": ', x[1], ', "sd": ', x[2], ', "alpha": 0.025, "sided": 1}'), "", power.t.test(n=x[3]/2, delta=x[1], sd=x[2], sig.level=.025, alternative="one.sided")$power, 1e-6, paste0("R 4.2.2, stats, power.t.test(n=", x[3]/2, ", delta=", x[1], ", sd=", x[2], ", sig.level=.025, alternative='one.sided')"))
crm <- function(p, n, tox, target) {
  f <- function(a, m) sapply(a, function(x) x^m*exp(sum(tox*exp(x)*log(p)) + sum((n - tox)*log(1 - p^exp(x))))*dnorm(x, 0, sqrt(1.34)))
  m <- integrate(f, -9, 9, m=1, rel.tol=1e-11)$value/integrate(f, -9, 9, m=0, rel.tol=1e-11)$value
  chance <- p^exp(m)
  args <- paste0('{"skeleton": [', paste(p, collapse=", "), '], "target": ', target, ', "n": [', paste(n, collapse=", "), '], "toxic": [', paste(tox, collapse=", "), ']}')
  for (k in seq_along(p)) add("crm", args, paste0("[", k - 1, "]"), chance[k], 1e-6, "R 4.2.2, own integrate() of the power-model posterior, prior N(0, 1.34); plug-in of the posterior mean as in package dfcrm")
}
crm(c(.05, .1, .2, .35, .5, .7), c(0, 3, 4, 3, 0, 0), c(0, 0, 0, 2, 0, 0), .2)
crm(c(.1, .2, .3, .4), c(3, 3, 6, 3), c(0, 1, 2, 2), .3)
