# syntax=docker/dockerfile:1
# One image, one entry file a process: node --conditions=built dist/main/<api|worker|controller|migrate>.js
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json ./
COPY scripts/build.ts scripts/
COPY src src
RUN node --disable-warning=ExperimentalWarning scripts/build.ts

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json .npmrc LICENSE ./
# What runs, without what only developers read. Made anew only when package-lock.json changes.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error --cache=/tmp/npm \
 && rm -rf /tmp/npm \
 && find node_modules -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \) -delete
COPY --from=build /build/dist dist
COPY migrations migrations
# By number, so that a cluster can see that it is not root.
USER 1000:1000
EXPOSE 3002
CMD ["node", "--conditions=built", "dist/main/api.js"]
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="user-service" \
      org.opencontainers.image.description="Accounts, sessions, profiles, follows, presence and moderation" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
