# `make` alone tells what there is. Everything happens in .venv; PYTHON names the Python that makes it.

PYTHON ?= python3
WEEKS ?= 20
BIN := .venv/bin
MARK := .venv/installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
NPM := $(shell command -v npm)
TOOLS := $(if $(NPM),node_modules/installed)
CODE := bic_lib tests benchmarks .ci infra $(wildcard function_app.py)
LOCK := $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
TYPED := bic_lib tests .ci/audit.py infra/package.py $(wildcard function_app.py)

.PHONY: help setup demo test test-files test-mssql check start package lock audit sbom bench soak scale flame docs site pictures clean

help:
	@echo "make demo    a simulated appliance, pulled into demo/"
	@echo "make setup   .venv with everything for development"
	@echo "make test    all tests; brings what npm has for them, where npm is (BIC_TEST_REQUIRE=all: nothing may be lacking)"
	@echo "make test-files   the suite of file destinations against BIC_TEST_BLOB_URL, BIC_TEST_SMB_URL"
	@echo "make test-mssql   the database's suite and speed at a SQL Server (BIC_TEST_MSSQL: ODBC connection string; tables are dropped)"
	@echo "make check   format, lint, types"
	@echo "make start   the function app on this machine (PORT=7071): in Core Tools where they are, else in the tests' own host"
	@echo "make package build/bic.zip: the function app with all its packages, as it is deployed"
	@echo "make lock    requirements*.txt anew from pyproject.toml, each package with its hashes (UPGRADE=1: the newest versions)"
	@echo "make audit   known vulnerabilities of what runs"
	@echo "make sbom    build/sbom.cdx.json: what runs, as CycloneDX"
	@echo "make bench   speed against baselines"
	@echo "make flame   docs/images/first-pull.svg: where a first pull's processor time goes"
	@echo "make soak    WEEKS=20 random weeks of faults and kills, a million sessions in a table, then make scale (half an hour)"
	@echo "make scale   20 sites, 4 hosts, 5,000 steps, 20 kills on the storage emulator (about ten minutes)"
	@echo "make docs    write the generated pages anew"
	@echo "make site    build/site: the documents to be read and searched in a browser"
	@echo "make pictures   the pictures in the documents, of bic demo --serve (needs Chromium)"
	@echo "make clean   remove what was made here"

setup: $(MARK)-dev

demo: $(MARK)
	@$(BIN)/bic demo
	@echo "See it in a browser: $(BIN)/bic demo --serve"

test: $(MARK)-dev $(TOOLS)
	@$(if $(NPM),,echo "npm is not here: tests that need the emulator of Azure Storage or the parser of Kusto queries are left out")
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test-files: $(MARK)-dev
	@test -n "$$BIC_TEST_BLOB_URL$$BIC_TEST_SMB_URL" || { echo "set BIC_TEST_BLOB_URL or BIC_TEST_SMB_URL; CONTRIBUTING.md says how"; exit 1; }
	$(BIN)/python -m pytest $${BIC_TEST_BLOB_URL:+tests/destinations/test_azure_blob.py} $${BIC_TEST_SMB_URL:+tests/destinations/test_smb_share.py} \
		-k 'TestAzureBlob or TestSmbShare'

test-mssql: $(MARK)-dev
	@test -n "$$BIC_TEST_MSSQL" || { echo "set BIC_TEST_MSSQL to the ODBC connection string of a database to be used up"; exit 1; }
	$(BIN)/python -m pytest tests/destinations/sql/test_sqlserver.py -k TestServer
	$(BIN)/python -m benchmarks.tsql

check: $(MARK)-dev
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(TYPED)

start: $(MARK)-dev $(TOOLS)
	@$(BIN)/python -m tests.hosts.start $(if $(PORT),--port $(PORT))

package: $(MARK)-dev
	@$(BIN)/python infra/package.py

lock: $(MARK)-dev
	$(LOCK) pyproject.toml --output-file requirements.txt
	$(LOCK) --group dev --constraints requirements.txt --output-file requirements-dev.txt
	$(LOCK) --group kerberos --constraints requirements-dev.txt --output-file requirements-kerberos.txt

audit: $(MARK)-dev
	@$(BIN)/python .ci/audit.py

sbom: $(MARK)-dev
	@mkdir -p build
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible --output-file build/sbom.cdx.json

bench: $(MARK)-dev
	@for module in $(filter-out scaling,$(notdir $(basename $(wildcard benchmarks/[!_]*.py)))); do \
		$(BIN)/python -m benchmarks.$$module || exit 1; done

soak: $(MARK)-dev $(TOOLS)
	$(BIN)/python -m tests.kill.weeks 1 $(WEEKS)
	$(BIN)/python -m benchmarks.growth 1e6
	$(BIN)/python -m benchmarks.visits 1e6
	@$(MAKE) scale

scale: $(MARK)-dev $(TOOLS)
	@$(BIN)/python -m benchmarks.scaling

flame: $(MARK)-dev
	@$(BIN)/python -m benchmarks._flame docs/images/first-pull.svg

docs: $(MARK)-dev
	$(BIN)/python -m bic_lib.settings.docs > docs/settings.md
	$(BIN)/python -m bic_lib.cli.json_docs > docs/json.md
	$(BIN)/python -m bic_lib.destinations.sql.dictionary > docs/data-dictionary.md
	$(BIN)/python -m contrib.questions

site: $(MARK)-dev
	@$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --builder html docs build/site
	@echo "build/site/index.html"

pictures: $(MARK)-dev
	@$(BIN)/python -m tests.web.pictures

clean:
	rm -rf .venv demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- .venv ----------------------------------------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "bic needs Python 3.11 or newer; $(PYTHON) is not. Name another: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv .venv

$(MARK): requirements.txt pyproject.toml | $(BIN)/python
	@echo "installing into .venv ..."
	@$(PIP) install --require-hashes -r requirements.txt
	@PYTHONWARNINGS=ignore $(PIP) install --no-deps --editable .
	@touch $@

$(MARK)-dev: requirements-dev.txt $(MARK)
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

$(TOOLS): package.json package-lock.json
	@echo "installing what tests need into node_modules ..."
	@npm ci --no-audit --no-fund --loglevel=error --fetch-retries=5 && touch $@ \
		|| echo "npm can't bring the emulator of Azure Storage and the parser of Kusto queries: tests that need them are left out"
