"""docker-compose.yml, really run: by Podman, with images made from the distribution's packages."""
