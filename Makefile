# Every target does its own set-up in .venv; the machine needs only python3 and make.
PYTHON ?= python3
# Anything pip takes. As it stands it gives the CUDA build on x86_64 Linux; PyTorch's CPU index has a smaller one:
#   make demo TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
# mypy reads numpy's own types, and those of 2.5 refuse what 2.4 and all before it take. `make matrix` takes any.
NUMPY ?= numpy<2.5

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check
INSTALLED := $(VENV)/.installed
COLCON := $(VENV)/.colcon
SPHINX := $(VENV)/.sphinx
# A sourced ROS distribution brings its own ROS.
comma := ,
# The source archive of the robot's package comes without them, and checks without what needs them.
SCENES := $(wildcard scenes/setup.cfg)
EXTRAS := demo,hub,test$(if $(ROS_DISTRO),,$(comma)ros)

# What e2e-depth-scenes needs for Blender's scenes. Blender's wheel is for CPython 3.11 alone; libraries and
# furniture are Debian's.
PYTHON311 ?= python3.11
APT ?= sudo apt-get
BLENDER := .venv-blender
BLENDER_LIBRARIES := libx11-6 libxrender1 libxfixes3 libxi6 libxkbcommon0 libsm6 libice6 libxext6 libgl1

# Test processes beside each other; each has a ROS domain of its own.
JOBS ?= 2
# Of `make matrix`, all by default, or say CELLS="3.10 3.12-jazzy": see test/matrix.py.
CELLS ?=

.PHONY: help install demo pictures renderer test matrix lint format docs colcon clean

help:
	@echo "make demo    the whole system on real frames: pictures, cloud and table in demo_out/"
	@echo "make pictures  makes the pictures of the documentation anew, with the model as it is"
	@echo "make renderer  installs Blender and furniture for e2e-depth-scenes (as root: make renderer APT=apt-get)"
	@echo "make test    format, lint, types and tests"
	@echo "make lint    the same without the tests;  make format  applies what can be applied"
	@echo "make matrix  the tests under each Python, ROS and set of versions, each in an environment of its own"
	@echo "make docs    the documentation as a site, in build/docs; warnings are errors"
	@echo "make colcon  builds and tests as a ROS package, in build/ and install/"
	@echo "make clean   removes what the others made, .venv too"

# Debian ships python3 without ensurepip: then pip or virtualenv must be there already.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
	  || { echo "Python 3.10 or newer is needed, $$($(PYTHON) --version 2>&1) found: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "Set-up, once: a virtual environment in $(VENV), with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 \
	  || { $(PYTHON) -m venv --without-pip $(VENV) >/dev/null 2>&1 \
	       && $(PYTHON) -m pip --python $(VENV)/bin/python install --quiet pip 2>/dev/null; } \
	  || $(PYTHON) -m virtualenv --quiet $(VENV) 2>/dev/null \
	  || { rm -rf $(VENV); echo "python3 cannot make a virtual environment: apt install python3-venv" >&2; exit 2; }

# torch first: what depends on it must not choose another build.
$(INSTALLED): setup.py setup.cfg $(SCENES) requirements-robot.txt requirements-ros.txt requirements-dev.txt | $(BIN)/python
	@echo "Set-up, step 1 of 2: $(TORCH), the largest download"
	$(PIP_INSTALL) $(TORCH)
	@echo "Set-up, step 2 of 2: the package itself, its scenes, and what they need ($(EXTRAS))"
	$(PIP_INSTALL) --editable ".[$(EXTRAS)]" $(SCENES:scenes/setup.cfg=--editable ./scenes) "$(NUMPY)"
	@touch $@

install: $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/e2e-depth demo --output demo_out

pictures: demo
	$(BIN)/e2e-depth predict demo_out/frames --align --correction --output demo_out/aligned
	cp demo_out/demo.png docs/demo.png
	cp demo_out/aligned/motorcycle/preview.png docs/metric_depth.png
	$(BIN)/e2e-depth gallery --demo --output docs/gallery/photos.jpg
	$(BIN)/e2e-depth gallery docs/gallery --output docs/gallery/renders.jpg

$(BLENDER)/.installed:
	@echo "Set-up, step 1 of 2: libraries and furniture, from the distribution"
	$(APT) install --yes --no-install-recommends $(BLENDER_LIBRARIES) sweethome3d-furniture
	@echo "Set-up, step 2 of 2: Blender, in $(BLENDER)"
	$(PYTHON311) -m venv $(BLENDER)
	$(BLENDER)/bin/python -m pip install --disable-pip-version-check bpy==5.0.1 OpenEXR==3.5.3 'numpy<2'
	@touch $@

renderer: $(BLENDER)/.installed
	@$(BLENDER)/bin/python -c 'import bpy, OpenEXR'
	@echo "export E2E_DEPTH_BLENDER_PYTHON=$(CURDIR)/$(BLENDER)/bin/python"

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(if $(SCENES),,e2e_depth_ros)

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: lint
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

matrix: $(INSTALLED)
	@$(BIN)/uv --version || { echo "Set-up: uv"; $(PIP_INSTALL) uv==0.13.9; }
	$(BIN)/python test/matrix.py --uv $(BIN)/uv --torch "$(TORCH)" --cells "$(CELLS)" \
	  -- --numprocesses $(JOBS) --dist loadfile

$(SPHINX): $(INSTALLED) requirements-docs.txt
	@echo "Set-up: Sphinx"
	$(PIP_INSTALL) --requirement requirements-docs.txt
	@touch $@

docs: $(SPHINX)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env docs build/docs

$(COLCON): $(INSTALLED)
	@echo "Set-up: colcon"
	$(PIP_INSTALL) colcon-common-extensions colcon-ros
	@touch $@

colcon: $(COLCON)
	@. $(BIN)/activate && export AMENT_PREFIX_PATH="$${AMENT_PREFIX_PATH:-$$VIRTUAL_ENV}" \
	  && colcon list --packages-select e2e_depth_ros | grep -F '(ros.ament_python)' \
	  && colcon build --packages-select e2e_depth_ros \
	  && . install/setup.sh \
	  && colcon test --packages-select e2e_depth_ros --event-handlers console_direct+ \
	  && colcon test-result --verbose

clean:
	rm -rf $(VENV) $(VENV)-matrix $(BLENDER) build install log demo_out .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info scenes/*.egg-info scenes/build
