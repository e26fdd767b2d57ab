# make help       this text
# make setup      a virtual environment in .venv with everything, and the commands lt-train ...;
#                 a second run installs nothing
# make demo       build a data set, train, transcribe and play, in a few minutes
# make test       the tests (make test-long: those that take longer)
# make faults     of these, bad and odd inputs, kills and full disks, with a table by kind
# make lint       the style checks
# make results    measure the README's figures again, into docs/results.json (hours; a run that was
#                 stopped goes on); SETS="Flute=DIR Violin=DIR" adds recordings with aligned MIDI
# make synthesis  what models play beside notes that they were not shown: MODELS="saves/a saves/b",
#                 SOURCES="DIR ..." where their data sets are of recordings, and RECORDINGS=DIR, a
#                 set with aligned MIDI, for reconstructions; into saves/synthesis.csv and .json
# make bench      the speed of everything beside peers, real time and floors, into
#                 docs/benchmarks.json and the tables of README.md and docs/*.md, in 20
#                 minutes; peers are installed into .venv-bench; MODEL=RUN, of one instrument
# make gallery    one page to hear what the models do, with maps of their latent spaces to play, in
#                 saves/gallery.html (minutes); RECORDINGS=DIR: from a folder of yours; MODELS="..."
# make api        pages of every module from the docstrings, into docs/api (installs pdoc)
# make clean      remove .venv, .venv-bench and what the tools left behind; data/ and saves/ stay
#
# make PYTHON=python3.12 setup                                     another Python (3.10 to 3.13)
# make PIP_OPTIONS="--extra-index-url https://download.pytorch.org/whl/cpu" setup
#                                                                  on Linux: torch without its CUDA libraries

PYTHON ?= python3
PIP_OPTIONS ?=
SETS ?=
MODEL ?= lt/pretrained/flute
MODELS ?= saves/demo__Flute
SOURCES ?=
RECORDINGS ?=
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check install --quiet --progress-bar off $(PIP_OPTIONS)
STAMP := .venv/.set-up

.PHONY: help setup demo test test-long faults lint bench results synthesis gallery api clean

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

setup: $(STAMP)

demo: $(STAMP)
	$(PY) demo.py

# One thread a process: processes of several threads each wait for one another on few cores.
test: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal

test-long: $(STAMP)
	$(PY) -m pytest -m long

faults: $(STAMP)
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 4 --dist worksteal -m "fault and not long"

lint: $(STAMP)
	$(PY) -m ruff check .

bench: $(STAMP)
	$(PY) bench/speed.py --model $(MODEL)

results: $(STAMP)
	$(PY) bench/results.py $(foreach set,$(SETS),--set $(set))

synthesis: $(STAMP)
	$(PY) bench/synthesis.py $(MODELS) $(if $(SOURCES),--sources $(SOURCES)) \
	  $(if $(RECORDINGS),--recordings $(RECORDINGS))

gallery: $(STAMP)
	$(PY) -m lt.gallery $(if $(filter command% environment%,$(origin MODELS)),--models $(MODELS)) \
	  $(if $(RECORDINGS),--recordings $(RECORDINGS))

# pdoc finds the modules of a package by itself unless that has __all__: lt, lt.config, nsgt_wrap.
PAGES = lt nsgt_wrap $(subst /,.,$(patsubst %/__init__.py,%,$(wildcard lt/*/__init__.py)) \
  $(patsubst %.py,%,$(filter-out %/__init__.py,$(wildcard lt/*.py lt/config/*.py nsgt_wrap/*.py))))

api: $(STAMP)
	@$(PIP) pdoc
	$(PY) -m pdoc --docformat google --output-directory docs/api $(PAGES)

clean:
	rm -rf .venv .venv-bench build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find lt nsgt_wrap tests bench -name __pycache__ -prune -exec rm -rf {} +

# Every path is relative, so that the folder's own may hold spaces.
$(STAMP): requirements.txt requirements-dev.txt pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "setup: Python 3.10 to 3.13 is needed; name one: make PYTHON=python3.12 setup" >&2; exit 1; }
	@test -x $(PY) || { echo "setup: making .venv"; $(PYTHON) -m venv .venv; }
	@$(PY) -c 'import sys; sys.exit(sys.version_info[:2] >= (3, 13))' || command -v c++ >/dev/null || { \
	  echo "setup: on Python 3.13 tinysoundfont is built from source, which needs a C++ compiler" \
	       "(Debian: apt install g++); Python 3.10 to 3.12 needs none" >&2; exit 1; }
	@echo "setup: installing requirements.txt (torch is large: minutes)"
	@$(PIP) -r requirements.txt -r requirements-dev.txt
	@echo "setup: building nsgt"
# nsgt comes as source only and imports NumPy while it builds without declaring it: the isolated
# environment that pip builds in by default has none. Without Cython, it builds as plain Python,
# which needs no compiler and is enough: only its windows are used.
	@$(PIP) --no-build-isolation "nsgt>=0.19"
	@echo "setup: installing tinysoundfont"
# tinysoundfont requires PyAudio, which serves playback only and does not build without a system
# library (PortAudio); rendering to arrays works without it.
	@$(PIP) --no-deps "tinysoundfont>=0.3.6"
	@echo "setup: installing the commands lt-train lt-analyze lt-midi lt-play lt-build"
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(STAMP)
	@echo "setup: done"
