# The image of an app: the folder that this file lies in, with all it needs to run, and nothing else.
#
#   edgefn build                                      docker, podman or buildah, whichever is there
#   docker build -t my-app .
#   docker run --read-only -v my-app-state:/state -p 8080:8080 -e INPUT=rtsp://camera/1 my-app
#
# Arguments, state folder, user, devices: docs/image.md.
ARG PYTHON_IMAGE=python:3.12-slim

# --- the app: this folder without what .funcignore names; FUNCTIONS is a folder or a file in it, for its functions/.
# --- What pip is to install lies apart, so that an edit of a function leaves the layer of the packages as it is.
FROM ${PYTHON_IMAGE} AS app
WORKDIR /app
COPY . .
RUN mkdir -p /asked /drivers; \
    if grep -qs '^\[project\]' pyproject.toml; then cp -r . /asked; \
    else for part in requirements*.txt wheels; do [ ! -e "$part" ] || cp -r "$part" /asked; done; \
      grep -qsi '^edgefn' /asked/requirements.txt || echo edgefn >>/asked/requirements.txt; fi; \
    mkdir -p /asked/wheels; [ ! -d drivers ] || cp drivers/*.deb /drivers
ARG FUNCTIONS=
ARG SCORING_SCRIPT=
RUN chosen="${FUNCTIONS:-${SCORING_SCRIPT}}"; if [ -n "$chosen" ]; then \
      [ -e "$chosen" ] || { echo "FUNCTIONS=$chosen: is not in this folder; it has: $(ls | tr '\n' ' ')" >&2; exit 1; }; \
      mkdir /functions && if [ -d "$chosen" ]; then cp -r "$chosen/." /functions; else cp "$chosen" /functions; fi \
      && rm -rf functions "$chosen" && mv /functions functions; fi
RUN if [ -f .funcignore ]; then \
      if grep -n '^!' .funcignore >&2; then echo '.funcignore: exceptions (!) are not read here' >&2; exit 1; fi; \
      grep -v '^#' .funcignore | while read -r pattern; do [ -z "$pattern" ] || rm -rf ./$pattern; done; fi \
 && rm -rf wheels drivers && find . -depth -type d -name __pycache__ -exec rm -r {} + \
 && chmod -R go-w .

# --- the packages, in a virtual environment; a CPU needs no plugins of other devices
FROM ${PYTHON_IMAGE} AS packages
ARG PIP_INDEX_URL=
ARG PIP_NO_INDEX=
WORKDIR /asked
COPY --from=app /asked .
RUN python -m venv --without-pip /opt/edgefn \
 && pip --python /opt/edgefn/bin/python install --no-cache-dir --no-compile --find-links wheels -r requirements.txt \
 && find /opt/edgefn -depth -type d -name tests -exec rm -r {} + \
 && { python -m compileall -q --invalidation-mode unchecked-hash /opt/edgefn/lib || :; }
ARG ACCELERATORS=cpu
RUN [ "${ACCELERATORS}" != cpu ] || { cd /opt/edgefn/lib/python3*/site-packages/openvino/libs \
 && rm -f libopenvino_intel_gpu_plugin.so libopenvino_intel_npu_plugin.so cache.json; }

# --- the image
FROM ${PYTHON_IMAGE}
ARG ACCELERATORS=cpu
ARG PACKAGES=
RUN --mount=type=bind,from=app,source=/drivers,target=/drivers \
    set -e; drivers=; \
    for accelerator in $(echo "${ACCELERATORS}" | tr , ' '); do case "$accelerator" in \
      cpu) ;; \
      gpu) drivers="$drivers intel-opencl-icd ocl-icd-libopencl1" ;; \
      npu) drivers="$drivers libze1 $(find /drivers -name '*.deb')"; \
           [ -n "$(find /drivers -name '*.deb')" ] || { echo "ACCELERATORS=npu: Debian has no package of Intel's NPU driver; put the .deb files of its release into drivers/" >&2; exit 1; } ;; \
      *) echo "ACCELERATORS=${ACCELERATORS}: there is no '$accelerator'; right would be cpu, gpu, npu, or gpu,npu" >&2; exit 1 ;; \
    esac; done; \
    [ -z "$drivers" ] || [ "$(dpkg --print-architecture)" = amd64 ] \
      || { echo "ACCELERATORS=${ACCELERATORS}: Intel's drivers are for amd64; right would be cpu" >&2; exit 1; }; \
    if [ -n "$drivers${PACKAGES}" ]; then apt-get update -qq; \
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $drivers ${PACKAGES}; \
      rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log; fi; \
    useradd --uid 1000 --no-create-home --home-dir /home/edgefn --shell /usr/sbin/nologin edgefn; \
    install -d /home/edgefn/intel && echo 0 >/home/edgefn/intel/openvino_telemetry; \
    install -d -o 1000 -g 1000 -m 700 /state
COPY --from=packages /opt/edgefn /opt/edgefn
RUN PYTHONDONTWRITEBYTECODE=1 /opt/edgefn/bin/python -m edgefn.deploy.bytecode \
 || echo "Python's own library has no bytecode: each start takes longer" >&2
COPY --from=app /app /app

# The settings of the app are environment variables. OpenVINO's telemetry is off by the file in the home folder.
ENV PATH=/opt/edgefn/bin:$PATH HOME=/home/edgefn TMPDIR=/state PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUTF8=1 \
    AzureWebJobsScriptRoot=/app EDGEFN_STATE=/state ASPNETCORE_URLS=http://+:8080
WORKDIR /app
USER 1000:1000
VOLUME /state
EXPOSE 8080
HEALTHCHECK --interval=60s --timeout=10s --start-period=120s CMD ["edgefn", "health"]
CMD ["edgefn", "start"]
