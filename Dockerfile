# syntax=docker/dockerfile:1

FROM node:24-slim AS web
WORKDIR /app/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY web/ ./
RUN npm run build

FROM python:3.13-slim AS python
RUN pip install --no-cache-dir --root-user-action=ignore uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /app
COPY pyproject.toml uv.lock ./
COPY tracking/pyproject.toml tracking/
RUN uv sync --frozen --no-dev --no-install-workspace
COPY . .
RUN uv sync --frozen --no-dev

FROM python:3.13-slim
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin stepway \
    && install --directory --owner=stepway --group=stepway /data
COPY --from=python /app /app
COPY --from=web /app/web/dist /app/web/dist
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    STEPWAY_DATA_DIR=/data
WORKDIR /app
USER stepway
VOLUME /data
# The root file system may be read-only: Stepway writes to /data and /tmp only.
CMD ["stepway", "--help"]
