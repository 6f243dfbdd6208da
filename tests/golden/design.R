# Golden values of clintrial.design from R; run once, the CSV is committed:   Rscript tests/golden/design.R > tests/golden/design.csv
suppressMessages(library(rpact))
version <- paste0("R ", paste(R.version$major, R.version$minor, sep="."), ", rpact ", packageVersion("rpact"))
quoted <- function(x) paste0('"', gsub('"', '""', x), '"')
row <- function(fun, args, name, value, tolerance, source)
  cat(fun, quoted(args), quoted(name), format(value, digits=12, scientific=FALSE, trim=TRUE), tolerance, quoted(source), sep=",", fill=FALSE, append=FALSE)
add <- function(fun, args, name, values, tolerance, source) {
  for (k in seq_along(values)) { row(fun, args, if (length(values) > 1) paste0(name, "[", k - 1, "]") else name, values[k], tolerance, source); cat("\n") }
}
cat("function,arguments,name,value,tolerance,source\n")

bounds <- function(args, name, sided=2, alpha=.05, beta=.1, ...) {
  d <- getDesignGroupSequential(sided=sided, alpha=alpha, beta=beta, ...)
  source <- paste0(version, ", getDesignGroupSequential(", name, ")")
  add("group_sequential", args, "upper", d$criticalValues, 1e-4, source)
  if (!all(d$futilityBounds < -5.9) && length(d$futilityBounds)) add("group_sequential", args, "lower", d$futilityBounds, 1e-4, source)
  ch <- getDesignCharacteristics(d)
  add("group_sequential", args, "inflation", ch$inflationFactor, 1e-4, paste0(version, ", getDesignCharacteristics of getDesignGroupSequential(", name, ")"))
}
for (k in c(2, 3, 5, 8)) for (alpha in c(.01, .05)) {
  tail <- paste0('"alpha": ', alpha, ', "sided": 2')
  bounds(paste0('{"looks": ', k, ', "bounds": "obrien_fleming", ', tail, '}'), paste0("kMax=", k, ", alpha=", alpha, ", sided=2, beta=.1, typeOfDesign='OF'"), alpha=alpha, kMax=k, typeOfDesign="OF")
  bounds(paste0('{"looks": ', k, ', "bounds": "pocock", ', tail, '}'), paste0("kMax=", k, ", alpha=", alpha, ", sided=2, beta=.1, typeOfDesign='P'"), alpha=alpha, kMax=k, typeOfDesign="P")
}
for (k in c(3, 5)) {
  bounds(paste0('{"looks": ', k, ', "bounds": "lan_demets_obrien_fleming", "alpha": 0.05, "sided": 2}'), paste0("kMax=", k, ", alpha=.05, sided=2, typeOfDesign='asOF'"), kMax=k, typeOfDesign="asOF")
  bounds(paste0('{"looks": ', k, ', "bounds": "lan_demets_pocock", "alpha": 0.05, "sided": 2}'), paste0("kMax=", k, ", alpha=.05, sided=2, typeOfDesign='asP'"), kMax=k, typeOfDesign="asP")
  bounds(paste0('{"looks": ', k, ', "bounds": "wang_tsiatis", "parameter": 0.25, "alpha": 0.05, "sided": 2}'), paste0("kMax=", k, ", alpha=.05, sided=2, typeOfDesign='WT', deltaWT=.25"), kMax=k, typeOfDesign="WT", deltaWT=.25)
  bounds(paste0('{"looks": ', k, ', "bounds": "haybittle_peto", "alpha": 0.05, "sided": 2}'), paste0("kMax=", k, ", alpha=.05, sided=2, typeOfDesign='HP'"), kMax=k, typeOfDesign="HP")
  bounds(paste0('{"looks": ', k, ', "bounds": "kim_demets", "parameter": 2}'), paste0("kMax=", k, ", alpha=.025, sided=1, typeOfDesign='asKD', gammaA=2"), kMax=k, sided=1, alpha=.025, typeOfDesign="asKD", gammaA=2)
  for (g in c(-4, -2, 1)) bounds(paste0('{"looks": ', k, ', "bounds": "hwang_shih_decani", "parameter": ', g, '}'), paste0("kMax=", k, ", alpha=.025, sided=1, typeOfDesign='asHSD', gammaA=", g), kMax=k, sided=1, alpha=.025, typeOfDesign="asHSD", gammaA=g)
}
t <- c(.3, .45, .8, 1)
bounds('{"looks": [0.3, 0.45, 0.8, 1], "bounds": "lan_demets_obrien_fleming"}', "informationRates=c(.3,.45,.8,1), alpha=.025, sided=1, typeOfDesign='asOF'", sided=1, alpha=.025, informationRates=t, typeOfDesign="asOF")
bounds('{"looks": [0.3, 0.45, 0.8, 1], "bounds": "obrien_fleming"}', "informationRates=c(.3,.45,.8,1), alpha=.025, sided=1, typeOfDesign='OF'", sided=1, alpha=.025, informationRates=t, typeOfDesign="OF")
bounds('{"looks": [0.3, 0.45, 0.8, 1], "bounds": "pocock"}', "informationRates=c(.3,.45,.8,1), alpha=.025, sided=1, typeOfDesign='P'", sided=1, alpha=.025, informationRates=t, typeOfDesign="P")
for (binding in c(FALSE, TRUE)) {
  j <- if (binding) "true" else "false"
  bounds(paste0('{"looks": 3, "futility": "lan_demets_obrien_fleming", "binding": ', j, '}'), paste0("kMax=3, alpha=.025, beta=.1, typeOfDesign='asOF', typeBetaSpending='bsOF', bindingFutility=", binding), sided=1, alpha=.025, kMax=3, typeOfDesign="asOF", typeBetaSpending="bsOF", bindingFutility=binding)
  bounds(paste0('{"looks": 4, "bounds": "hwang_shih_decani", "parameter": -4, "futility": "hwang_shih_decani", "futility_parameter": -2, "power": 0.8, "binding": ', j, '}'), paste0("kMax=4, alpha=.025, beta=.2, typeOfDesign='asHSD', gammaA=-4, typeBetaSpending='bsHSD', gammaB=-2, bindingFutility=", binding),
         sided=1, alpha=.025, beta=.2, kMax=4, typeOfDesign="asHSD", gammaA=-4, typeBetaSpending="bsHSD", gammaB=-2, bindingFutility=binding)
  bounds(paste0('{"looks": 3, "futility": [0, 0.5], "binding": ', j, '}'), paste0("kMax=3, alpha=.025, typeOfDesign='asOF', futilityBounds=c(0,.5), bindingFutility=", binding), sided=1, alpha=.025, kMax=3, typeOfDesign="asOF", futilityBounds=c(0, .5), bindingFutility=binding)
}

# -- sample sizes
n_t <- function(delta, sd, alpha, sided, beta, r=1) {   # total n of two arms by the non-central t distribution, both tails
  p <- function(n) { df <- n - 2; ncp <- delta/sd*sqrt(n*r/(1 + r)^2); q <- qt(1 - alpha/sided, df); pt(q, df, ncp, lower.tail=FALSE) + if (sided == 2) pt(-q, df, ncp) else 0 }
  uniroot(function(n) p(n) - 1 + beta, c(4, 1e5), tol=1e-11)$root
}
own <- paste0("R ", R.version$major, ".", R.version$minor, ", uniroot on pt(…, ncp)")
for (x in list(c(5, 12), c(1, 3), c(.5, 1))) for (beta in c(.1, .2))
  add("sample_size_means", paste0('{"difference": ', x[1], ', "sd": ', x[2], ', "power": ', 1 - beta, '}'), "unrounded", n_t(x[1], x[2], .05, 2, beta), 1e-6, own)
add("sample_size_means", '{"difference": 5, "sd": 12, "margin": -1, "alpha": 0.025, "sided": 1, "ratio": 2}', "unrounded", n_t(6, 12, .025, 1, .1, 2), 1e-6, own)
rates <- function(p1, p2, args, ...) add("sample_size_proportions", paste0('{"treatment": ', p1, ', "control": ', p2, ', ', args, '}'), "unrounded", getSampleSizeRates(pi1=p1, pi2=p2, ...)$nFixed, 1e-6, paste0(version, ", getSampleSizeRates(pi1=", p1, ", pi2=", p2, ", …)$nFixed"))
for (x in list(c(.6, .4), c(.3, .15), c(.9, .8), c(.12, .06))) for (beta in c(.1, .2)) rates(x[1], x[2], paste0('"power": ', 1 - beta), sided=2, alpha=.05, beta=beta)
rates(.85, .85, '"margin": -0.1, "alpha": 0.025, "sided": 1, "ratio": 2', thetaH0=-.1, sided=1, alpha=.025, beta=.1, allocationRatioPlanned=2)
rates(.85, .8, '"margin": -0.05, "alpha": 0.025, "sided": 1', thetaH0=-.05, sided=1, alpha=.025, beta=.1)
rates(.5, .3, '"measure": "ratio", "alpha": 0.025, "sided": 1', riskRatio=TRUE, thetaH0=1, sided=1, alpha=.025, beta=.1)
rates(.5, .45, '"measure": "ratio", "margin": 0.9, "alpha": 0.025, "sided": 1, "ratio": 2', riskRatio=TRUE, thetaH0=.9, sided=1, alpha=.025, beta=.1, allocationRatioPlanned=2)
for (hr in c(.5, .7, .8)) for (lost in c(0, .06)) {
  a <- getSampleSizeSurvival(lambda2=log(2)/12, hazardRatio=hr, accrualTime=c(0, 24), followUpTime=12, sided=2, alpha=.05, beta=.1, dropoutRate1=lost, dropoutRate2=lost, dropoutTime=12)
  args <- paste0('{"hazard_ratio": ', hr, ', "median": 12, "accrual": 24, "follow_up": 12, "dropout": ', format(1 - (1 - lost)^(1/12), digits=16), '}')
  src <- paste0(version, ", getSampleSizeSurvival(lambda2=log(2)/12, hazardRatio=", hr, ", accrualTime=c(0,24), followUpTime=12, dropoutTime=12, dropoutRate1=dropoutRate2=", lost, ", sided=2, alpha=.05, beta=.1)")
  add("sample_size_survival", args, "events", a$eventsFixed, 1e-6, src); add("sample_size_survival", args, "unrounded", a$nFixed, 1e-6, src)
}
a <- getSampleSizeSurvival(lambda2=log(2)/12, hazardRatio=.6, accrualTime=c(0, 24), followUpTime=12, sided=2, alpha=.05, beta=.1, typeOfComputation="Freedman", dropoutRate1=0, dropoutRate2=0)
add("sample_size_survival", '{"hazard_ratio": 0.6, "median": 12, "accrual": 24, "follow_up": 12, "method": "freedman"}', "events", a$eventsFixed, 1e-6, paste0(version, ", getSampleSizeSurvival(…, typeOfComputation='Freedman')$eventsFixed"))
a <- getSampleSizeSurvival(lambda2=log(2)/12, hazardRatio=.9, thetaH0=1.3, accrualTime=c(0, 24), followUpTime=12, sided=1, alpha=.025, beta=.2, allocationRatioPlanned=2, dropoutRate1=0, dropoutRate2=0)
add("sample_size_survival", '{"hazard_ratio": 0.9, "median": 12, "accrual": 24, "follow_up": 12, "margin": 1.3, "alpha": 0.025, "sided": 1, "power": 0.8, "ratio": 2}', "events", a$eventsFixed, 1e-6, paste0(version, ", getSampleSizeSurvival(hazardRatio=.9, thetaH0=1.3, allocationRatioPlanned=2, …)$eventsFixed"))
