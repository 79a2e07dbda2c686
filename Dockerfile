# A static binary and nothing else: no shell, no package manager, no root. The tag of an image says what it is, its digest which one.
FROM golang:1.26@sha256:3aff6657219a4d9c14e27fb1d8976c49c29fddb70ba835014f477e1c70636647 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY configs configs
COPY connectors connectors
COPY gateway gateway
COPY rules rules
ARG VERSION
RUN CGO_ENABLED=0 go build -ldflags "-s -w -X github.com/surveygate/surveygate/gateway.version=${VERSION}" -o /out/surveygate ./cmd/surveygate
RUN mkdir -m 0700 /out/data

FROM gcr.io/distroless/static-debian12:nonroot@sha256:d093aa3e30dbadd3efe1310db061a14da60299baff8450a17fe0ccc514a16639
COPY --from=build /out/surveygate /usr/local/bin/surveygate
COPY --from=build --chown=65532:65532 /out/data /data
USER 65532:65532
ENV SURVEYGATE_CONFIG=/etc/surveygate SURVEYGATE_DATA=/data SURVEYGATE_LISTEN=0.0.0.0:8080
EXPOSE 8080
VOLUME /data
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["surveygate", "run", "--health"]
ENTRYPOINT ["surveygate"]
CMD ["run"]
