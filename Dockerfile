# syntax=docker/dockerfile:1
# One image, one entry file a process: node --conditions=built dist/main/<api|worker|controller|migrate>.js
ARG NODE_IMAGE=node:24-bookworm-slim

# Made anew only when package-lock.json changes, like the next layer.
FROM ${NODE_IMAGE} AS dependencies
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error

# What runs, without what only developers read.
FROM dependencies AS modules
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error \
 && find node_modules -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \) -delete

FROM dependencies AS build
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts scripts/
COPY src src
RUN node scripts/build.ts

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=modules /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY migrations migrations
COPY package.json LICENSE ./
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
