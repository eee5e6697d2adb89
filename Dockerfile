# The verifier as a service, with five languages ready (docs/how-to/serve-the-verifier.md):
#
#   docker build --tag verifier .
#   docker run --privileged --publish 8000:8000 --env AGNOSTICS_SERVE_TOKEN=... verifier
#
# --privileged: the jail of each program is made of the kernel's own namespaces and cgroups, inside the container.
FROM python:3.11-slim-trixie

RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends gcc libc6-dev mmdebstrap \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /verifier
COPY pyproject.toml README.md LICENSE ./
COPY base base
COPY languages languages
COPY sandbox sandbox
RUN pip install --no-cache-dir '.[serve]'

ENV AGNOSTICS_CACHE=/cache
RUN for language in lua python ocaml fortran r; do python -m sandbox.rootfs language=$language || exit 1; done

EXPOSE 8000
# the exec form: the service is process 1's own, and gets the SIGTERM of `docker stop`
ENTRYPOINT ["python", "-m", "sandbox.serve", "host=0.0.0.0", "language=lua,python,ocaml,fortran,r"]
