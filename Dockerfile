# The service with one preset, on the processor: see docs/service.md.
#   docker build --tag keras_bld --build-arg PRESET=bld_digits_16 .

FROM python:3.11-slim-bookworm AS writer
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY keras_bld keras_bld
COPY recipes recipes
RUN pip install --no-cache-dir --constraint constraints.txt ".[serve]" \
    && pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .
ARG PRESET=bld_digits_16
RUN keras-bld serve "$PRESET" --write-program /program

# Neither Keras nor a backend from here on.
FROM python:3.11-slim-bookworm
COPY constraints.txt service-requirements.txt /tmp/
COPY --from=writer /wheels /tmp/wheels
RUN pip install --no-cache-dir --constraint /tmp/constraints.txt \
        --requirement /tmp/service-requirements.txt \
    && pip install --no-cache-dir --no-deps /tmp/wheels/*.whl \
    && rm -r /tmp/wheels /tmp/*.txt
COPY --from=writer /program /program
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["keras-bld", "serve", "/program", "--host", "0.0.0.0"]
