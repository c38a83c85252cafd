# The server with the filter in it. All steps are in scripts/image.sh, which `make image-test` runs too.
#
#   docker build --tag meseta .
#   docker run --volume ./meseta.yaml:/etc/meseta/meseta.yaml:ro --volume sockets:/run/meseta \
#     --env OPENAI_API_KEY meseta

ARG RUST_VERSION=1.95

FROM rust:${RUST_VERSION}-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    scripts/image.sh build /source /out

FROM debian:bookworm-slim
RUN --mount=type=bind,from=build,source=/out,target=/out \
    --mount=type=bind,source=scripts/image.sh,target=/image.sh \
    /image.sh assemble /out
USER 65532:65532
VOLUME /run/meseta
# The admin port, 9902, listens on the container's loopback unless the configuration says otherwise.
ENTRYPOINT ["meseta"]
CMD ["serve", "--config", "/etc/meseta/meseta.yaml", "--listen", "unix:/run/meseta/server.sock"]
