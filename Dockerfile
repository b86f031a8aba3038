# The app on the bundled region, for one person on this machine:
#   docker build -t opendiff-planner .
#   docker run --rm -p 127.0.0.1:8501:8501 -e OPENDIFF_SHARED=0 -v plans:/data opendiff-planner
# then open http://localhost:8501. Several people: docs/server.md. A smaller image, with torch for CPUs alone: add
# --build-arg TORCH_INDEX=ADDRESS, that of PyTorch's index of CPU wheels.

FROM python:3.11-slim AS wheel
WORKDIR /source
COPY . .
RUN pip install --no-cache-dir "build>=1.2,<2" && python -m build --wheel

FROM python:3.11-slim
# GDAL inside rasterio's wheel takes expat from the system, which slim images may lack
RUN apt-get update && apt-get install -y --no-install-recommends libexpat1 && rm -rf /var/lib/apt/lists/*
# every file is the one whose hash requirements.lock states; of another index only torch is taken, in the same version
ARG TORCH_INDEX=""
COPY requirements.lock /tmp/
RUN cd /tmp && if [ -n "$TORCH_INDEX" ]; then \
      pip install --no-cache-dir --index-url "$TORCH_INDEX" --no-deps "$(grep -o '^torch==[0-9.]*' requirements.lock)" && \
      awk '/^[a-z]/ { gpu = /^(torch|triton|nvidia|cuda)[-=]/ } !gpu' requirements.lock > cpu.lock; \
    else cp requirements.lock cpu.lock; fi && \
    pip install --no-cache-dir --require-hashes --no-deps -r cpu.lock
RUN --mount=from=wheel,source=/source/dist,target=/dist pip install --no-cache-dir --no-deps /dist/*.whl

RUN useradd --create-home --uid 1000 planner && install -d -o planner /data
USER 1000
WORKDIR /home/planner
ENV PYTHONUNBUFFERED=1 OPENDIFF_CACHE=/data/cache OPENDIFF_LIBRARY=/data/library
VOLUME /data
EXPOSE 8501
HEALTHCHECK --start-period=60s CMD \
    ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/_stcore/health', timeout=5)"]
# inside a container every address is its own; who may reach it is decided where the port is published
CMD ["opendiff-planner", "--server.address", "0.0.0.0", "--server.headless", "true"]
