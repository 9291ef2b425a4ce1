# One image for every service of docker-compose.yml but PostgreSQL.
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# Extras of pyproject.toml, separated by commas, such as dask.
ARG EXTRAS=""
# Any value takes XGBoost's CUDA build with NVIDIA's libraries: half a gigabyte more.
ARG GPU=""
ENV UV_LINK_MODE=copy UV_PYTHON=/opt/mlops/bin/python
WORKDIR /build
# What changes seldom comes first: new code alone does not install the packages anew.
COPY constraints.txt pyproject.toml ./
COPY scripts/cpu-overrides.txt scripts/
RUN --mount=type=cache,target=/root/.cache \
    sed -n '/^uv==/,/[^\\]$/p' constraints.txt >/tmp/uv.txt \
    && pip install --quiet --root-user-action ignore --require-hashes --requirement /tmp/uv.txt \
    && uv venv --quiet --python "$(command -v python)" /opt/mlops \
    && set -- --requirement pyproject.toml --constraint constraints.txt --compile-bytecode \
    && for extra in $(echo "$EXTRAS" | tr ',' ' '); do set -- "$@" --extra "$extra"; done \
    && if [ -z "$GPU" ]; then set -- "$@" --override scripts/cpu-overrides.txt xgboost-cpu; fi \
    && uv pip install --quiet "$@"
# A tenth of the size is tests of the packages and maps of their scripts, which nobody opens here.
RUN cd /opt/mlops/lib/python3*/site-packages \
    && find numpy scipy sklearn pandas pyarrow networkx -type d -name tests -prune -exec rm -r {} + \
    && find . -name '*.map' -delete
COPY mlops_assets mlops_assets
COPY README.md LICENSE ./
RUN --mount=type=cache,target=/root/.cache \
    uv pip install --quiet --no-deps --compile-bytecode .

FROM ${PYTHON_IMAGE}
# The base image comes without bytecode of the standard library, and a process that is not root cannot keep its own.
RUN python -m compileall -q -x '/(test|idlelib|lib2to3|ensurepip|site-packages)/' "$(python -c 'import os; print(os.path.dirname(os.__file__))')" \
    && useradd --uid 10001 --create-home mlops \
    && install -d -o mlops -g mlops /app /app/dagster /app/dagster/storage /app/files /data /data/mlartifacts
COPY --from=build /opt/mlops /opt/mlops
COPY --chown=mlops dagster.yaml /app/dagster/
COPY --chown=mlops deploy/workspace.yaml deploy/wait_for.py /app/
COPY --chown=mlops --chmod=755 deploy/entrypoint.sh /app/
ENV PATH=/opt/mlops/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GIT_PYTHON_REFRESH=quiet \
    DAGSTER_HOME=/app/dagster \
    MLOPS_HOME=/data
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["/app/entrypoint.sh"]
CMD ["mlops-assets", "--help"]
