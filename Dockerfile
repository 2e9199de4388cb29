# One image, several commands: icansee serve (all in one), or listener, worker, beat, web, deliver, feeds, priors (see compose.yaml).
# Build: docker build -t icansee .
# Behind a proxy that inspects TLS: --secret id=ca,src=FILE with the CA certificate of the site (PEM).
# A site with a mirror names its copy of the base: --build-arg BASE=REGISTRY/python:3.11-slim-bookworm@sha256:...

ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS build
WORKDIR /build
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_NO_PROGRESS=1
# The index and the proxy of the site: --build-arg PIP_INDEX_URL=..., --build-arg HTTPS_PROXY=...
ARG PIP_INDEX_URL
# The dependencies first: they change less often than the program.
COPY scripts/downloads.sh scripts/image.sh scripts/uv.txt scripts/
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN --mount=type=secret,id=ca scripts/image.sh dependencies
COPY triage triage
COPY workers workers
COPY listener listener
COPY atlas atlas
COPY simulation simulation
RUN scripts/image.sh program

FROM ${BASE}
RUN useradd --uid 10001 --shell /usr/sbin/nologin --create-home --home-dir /var/lib/icansee icansee \
    && install -d -o icansee -g icansee /var/lib/icansee/state /etc/icansee
COPY --from=build /opt/icansee /opt/icansee
COPY config.container.yaml /etc/icansee/config.yaml
COPY scripts/healthcheck.py /opt/icansee/healthcheck.py
ENV PATH=/opt/icansee/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp/matplotlib
USER icansee
WORKDIR /etc/icansee
VOLUME /var/lib/icansee/state
EXPOSE 11112 8042
# The name of the process to look after; compose.yaml sets one per service.
ENV ICANSEE_PROCESS=serve
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["python", "/opt/icansee/healthcheck.py"]
CMD ["icansee", "serve"]
