# ThueSim Desk in one image. Every role is the same image: `web`, `worker slow beat`, or all of it, the default.
# deploy/build.sh has the steps. To pin the base by its digest: --build-arg BASE=debian@sha256:…
ARG BASE=debian:12.13-slim

FROM ${BASE} AS build
COPY . /src
RUN sh /src/deploy/build.sh build /src

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ThueSim Desk" \
      org.opencontainers.image.description="A team's desk for renting one-time Vietnamese phone numbers from ThueSim" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/debian:12.13-slim"
COPY deploy/build.sh /tmp/build.sh
RUN sh /tmp/build.sh base && rm /tmp/build.sh
COPY --from=build /opt/postgresql /usr/local/bin
COPY --from=build /opt/desk /opt/desk

ENV DESK_DATA_DIR=/data \
    HOST=0.0.0.0 \
    PORT=8000 \
    TMPDIR=/data \
    PATH=/opt/desk/.venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /opt/desk
USER 10001:10001
VOLUME ["/data", "/files", "/backups"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-m", "thuesim_site.start.health"]
ENTRYPOINT ["python", "-m", "thuesim_site.start.supervise"]
CMD ["all"]
