# `make image` builds this, without a registry.
ARG BASE=docker.io/library/debian:bookworm-slim
FROM ${BASE} AS build
WORKDIR /build
ENV DEBIAN_FRONTEND=noninteractive

# The packages stand in the Makefile, for this image and for everybody's machine.
COPY Makefile tools/install-packages package-list/
RUN apt-get update && apt-get upgrade --yes && apt-get install --yes --no-install-recommends make \
 && install -D package-list/install-packages tools/install-packages \
 && make -f package-list/Makefile build-packages shipped-packages

COPY tools/static-libraries tools/static-libraries
RUN tools/static-libraries

COPY . .
RUN cmake --preset shipped -DSESSMTP_TESTS=OFF \
 && cmake --build --preset shipped

ARG SOURCE_DATE_EPOCH=0
RUN tools/rootfs /rootfs

FROM scratch
COPY --from=build /rootfs/ /
USER 65532:65532
ENTRYPOINT ["/ses-smtp"]
ARG VERSION REVISION CREATED
LABEL org.opencontainers.image.title="ses-smtp-operator" \
      org.opencontainers.image.description="Keeps Amazon SES SMTP credentials in Kubernetes Secrets" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/ses-smtp-operator/ses-smtp-operator" \
      org.opencontainers.image.documentation="https://ses-smtp-operator.github.io/ses-smtp-operator" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
