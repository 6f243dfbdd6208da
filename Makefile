# Each target says what it does: make help
SHELL = bash
.DEFAULT_GOAL := help
.PHONY: help demo test lab app

# Variables typed after `make demo` reach the demo as options, untouched by make and by the shell.
given := $(filter-out PYTHON,$(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name))))
$(foreach name,$(given),$(eval override $(name) := $$(value $(name)))$(eval export $(name)))
export OPTIONS := $(given)

help: ## this list
	@grep -hE '^[a-z]+: .*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+): .*## /make \1	/'

demo: ## simulate or read a trial, fine-tune, predict with intervals, write a report (DATA= TEXT= TARGET= ORDER= TASK= OUTPUT=; WHAT=safety, matching, recommender, outlook or trends)
	@tools/setup.sh
	@tools/demo.sh

test: ## install, then check notebooks, package and tests as a change must pass them
	@tools/test.sh

lab: ## open JupyterLab on the tour
	@tools/setup.sh dev
	@.venv/bin/python -m jupyterlab nbs/90_tour.ipynb $(if $(filter 0,$(shell id -u)),--allow-root)   # `-m jupyter lab` would start the first one on PATH

app: ## serve the panels as a web page on this machine alone (PORT=)
	@tools/setup.sh dev
	@tools/app.sh
