FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin coder-operator

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/coder-operator /usr/local/bin/coder-operator
# A number, so that runAsNonRoot can be checked.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/coder-operator"]
CMD ["run"]
