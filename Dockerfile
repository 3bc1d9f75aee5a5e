# One image for everything of ours: exporters, notifier, wall, simulator, communities, stand-ins.
# Other bases (a mirror, a hardened Python) are build arguments; all three need nothing but what is named here.
ARG PYTHON=docker.io/library/python:3.11-slim-bookworm
ARG BUILDER=${PYTHON}
ARG MAVEN=docker.io/library/maven:3.9.11-eclipse-temurin-21

# The JMX agent that Kafka and MirrorMaker load: the one that pom.xml pins for `make up`.
FROM ${MAVEN} AS agent
COPY zads/stack/pom.xml /agent/pom.xml
RUN version() { sed -n "/<artifactId>$1</{n;s/.*<version>\(.*\)<.*/\1/p}" /agent/pom.xml; } \
 && mkdir /agent/empty && cd /agent/empty \
 && mvn -B -q "org.apache.maven.plugins:maven-dependency-plugin:$(version maven-dependency-plugin):copy" \
      "-Dartifact=io.prometheus.jmx:jmx_prometheus_javaagent:$(version jmx_prometheus_javaagent)" \
      -DoutputDirectory=/agent/jar -Dmdep.stripVersion=true

# Python packages into an environment of their own; what the running programs do not need is left out.
FROM ${BUILDER} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
RUN python3 -m venv /opt/zads && python3 -m venv /opt/hatch
WORKDIR /src
COPY pyproject.toml requirements.lock ./
# The packages alone first: a change of our own code leaves this layer as it is.
RUN python3 -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      >dependencies.txt && /opt/zads/bin/pip install -q --no-compile -c requirements.lock -r dependencies.txt \
 && /opt/hatch/bin/pip install -q -c requirements.lock hatchling
COPY . .
RUN /opt/hatch/bin/python -m hatchling build -t wheel -d /wheel >/dev/null \
 && /opt/zads/bin/pip install -q --no-compile --no-deps /wheel/*.whl \
 && mkdir -p /opt/zads/share/zads/grafana \
 && cp deploy/compose/*.sh deploy/compose/log4j2.properties /opt/zads/share/zads/ \
 && cp -r alertrules /opt/zads/share/zads/rules && rm -rf /opt/zads/share/zads/rules/tests \
 && cp -r dashboards/provisioning /opt/zads/share/zads/grafana/provisioning \
 && cp -r dashboards/json /opt/zads/share/zads/grafana/dashboards \
 && /opt/zads/bin/pip uninstall -q -y pip setuptools \
 && find /opt/zads -name '*.so' -exec sh -c 'command -v strip >/dev/null && strip --strip-unneeded "$@" || true' _ {} + \
 && find /opt/zads -depth -type d \( -name tests -o -name test \) -path '*/site-packages/*' -exec rm -rf {} + \
 && python3 -m compileall -q -j 0 /opt/zads/lib \
 && mkdir -p /made/config /made/secrets /made/data /made/zads/.stack/data/inbox /made/zads/.stack/config \
 && ln -s /config/zads.toml /made/zads/.stack/config/zads.toml && chmod 750 /made/secrets && chmod 775 /made/data
COPY --from=agent /agent/jar/jmx_prometheus_javaagent.jar /opt/zads/share/zads/jmx-agent.jar

FROM ${PYTHON}
LABEL org.opencontainers.image.title="ZADS Monitor" \
      org.opencontainers.image.description="Monitoring and alerting for the ZTF Alert Distribution System" \
      org.opencontainers.image.licenses="BSD-3-Clause"
COPY --from=build /opt/zads /opt/zads
# New volumes take owner and mode from these folders.
COPY --from=build --chown=10001:10001 /made/ /
ENV PATH=/opt/zads/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 ZADS_CONTAINERS=1
WORKDIR /zads
USER 10001:10001
ENTRYPOINT ["zads", "--config", "/config/zads.toml"]
CMD ["--help"]
