# Two images from one file:
#   docker build --target npu -t npuserve:npu .            serves on Ascend 910B (the host's driver is mounted at run time)
#   docker build --target emulator -t npuserve:emulator .  runs anywhere, on the embedded emulator
ARG CANN_IMAGE=quay.io/ascend/cann:8.5.0-910b-ubuntu22.04-py3.11
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ libnghttp2-dev zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml setup.py README.md LICENSE ./
COPY proto proto
COPY native native
COPY server server
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

# The image that runs without a device: the server, the emulator and its atc.
# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS emulator
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends libnghttp2-14 \
 && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir "$(echo /wheels/npuserve-*.whl)[emulator,onnxruntime,tokenizer]" \
 && useradd --create-home --uid 1000 npuserve
USER 1000
EXPOSE 8000 8001 8002
STOPSIGNAL SIGTERM
ENTRYPOINT ["npuserve"]
CMD ["serve", "--model-repository=/models"]

# The image for the NPU. CANN's libraries are found through the environment that its base image sets.
# hadolint ignore=DL3006
FROM ${CANN_IMAGE} AS npu
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends libnghttp2-14 \
 && rm -rf /var/lib/apt/lists/*
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir "$(echo /wheels/npuserve-*.whl)[onnxruntime,tokenizer]"
EXPOSE 8000 8001 8002
STOPSIGNAL SIGTERM
ENTRYPOINT ["/bin/bash", "-c", "source /usr/local/Ascend/cann/set_env.sh 2>/dev/null || source /usr/local/Ascend/ascend-toolkit/set_env.sh; exec npuserve \"$@\"", "npuserve"]
CMD ["serve", "--model-repository=/models"]
