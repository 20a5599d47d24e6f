# One image for every part: the command is the container's argument (`docker run burstwatch:0.1.0 worker --help`).
FROM python:3.11.11-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /opt/burstwatch
# Pinned as CI installs them.
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY burstwatch burstwatch
COPY collector collector
COPY streams streams
COPY workload workload
COPY dashboards dashboards
RUN /opt/burstwatch/bin/pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt .

FROM python:3.11.11-slim-bookworm
# A fixed user without a login; the folders exist here so that new volumes belong to it.
RUN groupadd --system --gid 10001 burstwatch \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin burstwatch \
 && install -d -o burstwatch -g burstwatch \
      /var/lib/burstwatch/spool /var/lib/burstwatch/captured /var/lib/burstwatch/workload
COPY --from=build /opt/burstwatch /opt/burstwatch
ENV PATH=/opt/burstwatch/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/burstwatch
ENTRYPOINT ["burstwatch"]
CMD ["--help"]
