# SPDX-License-Identifier: MIT
# Two images: docker build --target webhook . and docker build --target speaker .
# Each RUN is a script of image/, which tests run without Docker.

# Pin it by digest where it is built: --build-arg PYTHON=python@sha256:... of the tag below. The version is the one that
# the tests run with.
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS source
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY requirements requirements
COPY image image
COPY contract contract
COPY app app
COPY speaker speaker

FROM source AS webhook-files
RUN image/install.sh webhook /opt/l2lb

FROM source AS speaker-files
RUN image/install.sh speaker /opt/l2lb

FROM ${PYTHON} AS base
RUN --mount=type=bind,source=image,target=/image /image/strip.sh python
ENV PATH=/opt/l2lb/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
ARG VERSION=0.0.0
ARG REVISION=unknown
ARG SOURCE=unknown
# The SBOM in the image is of what we install; that of the base beside it is attested where the image is built.
LABEL io.l2lb.sbom=/opt/l2lb/sbom.cdx.json \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.source=$SOURCE

FROM base AS webhook
LABEL org.opencontainers.image.title="l2-load-balancer webhook" \
      org.opencontainers.image.description="Answers Metacontroller's hooks: which Service has which addresses, and which node announces each" \
      org.opencontainers.image.licenses="MIT"
COPY --from=webhook-files /opt/l2lb /opt/l2lb
RUN --mount=type=bind,source=image,target=/image --mount=type=bind,source=examples/hooks,target=/hooks \
    /image/check.sh webhook /hooks
USER 65532:65532
EXPOSE 8080 8443
ENTRYPOINT ["python", "-m", "app"]

FROM base AS speaker
LABEL org.opencontainers.image.title="l2-load-balancer speaker" \
      org.opencontainers.image.description="Answers ARP and NDP on one node for the addresses that it holds" \
      org.opencontainers.image.licenses="GPL-2.0-only AND MIT"
COPY --from=speaker-files /opt/l2lb /opt/l2lb
# It starts with NET_RAW only, which Docker leaves a step; buildah does with --cap-add NET_RAW.
RUN --mount=type=bind,source=image,target=/image /image/check.sh speaker
# Root, with the one capability that the chart leaves it: Kubernetes gives added capabilities to nobody else.
# hadolint ignore=DL3002
USER 0:0
ENTRYPOINT ["python", "-m", "speaker"]
