{{- /*
The pod of a process with a sidecar. Takes a dict:
  root       the chart's context
  component  api, worker or controller; also the name of the container and of its entry file
  appId      Dapr app id, also the name of Deployment and ServiceAccount
  values     the component's part of values.yaml
  config     name of the Dapr Configuration
  node       options for node
  env        rendered entries of `env`
  tokenFor   who gets the service account's token: `app`, or `daprd` for its secret store; the other one has none
  preStopSeconds  how long the process goes on serving once it is to end
  documents  ConfigMap of the documents of GraphQL that are trusted, where there is one
*/}}
{{- define "user-service.pod" -}}
{{- $root := .root -}}
{{- $preStop := .preStopSeconds | default 0 | int -}}
metadata:
  labels:
    {{- include "user-service.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    app.kubernetes.io/part-of: user-service
    {{- with $root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- include "user-service.podAnnotations" . | nindent 4 }}
    {{- with $root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ .appId }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- /* The process stops accepting, and cuts what is left after 15 s; daprd outlives it. */}}
  terminationGracePeriodSeconds: {{ add $preStop 30 }}
  {{- with include "user-service.placement" $root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  topologySpreadConstraints:
    {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "user-service.selector" (list $root $.component) | nindent 10 }}
    {{- end }}
  securityContext:
    {{- include "user-service.podSecurity" $root | nindent 4 }}
  containers:
    - name: {{ .component }}
      image: {{ include "user-service.image" $root | quote }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      command: {{ concat (list "node" "--conditions=built") .node (list (printf "dist/main/%s.js" .component)) | toJson }}
      env:
        {{- include "user-service.commonEnv" $root | nindent 8 }}
        {{- include "user-service.sidecarEnv" $root | nindent 8 }}
        {{- .env | nindent 8 }}
      ports:
        - { name: http, containerPort: 3002 }
      {{- /* Live at once; ready only when it can serve. */}}
      startupProbe:
        httpGet: { path: /health, port: http }
        periodSeconds: 1
        timeoutSeconds: 2
        failureThreshold: 180
      livenessProbe:
        httpGet: { path: /health, port: http }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: { path: /health/ready, port: http }
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 3
      {{- if $preStop }}
      lifecycle:
        {{- /* Until no proxy sends to this pod any more. */}}
        preStop: { sleep: { seconds: {{ $preStop }} } }
      {{- end }}
      resources:
        {{- toYaml .values.resources | nindent 8 }}
      securityContext:
        {{- include "user-service.containerSecurity" $root | nindent 8 }}
      {{- if or (eq .tokenFor "app") .documents $root.Values.caCertificates }}
      volumeMounts:
        {{- if eq .tokenFor "app" }}
        - { name: kubernetes-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
        {{- end }}
        {{- if .documents }}
        - { name: graphql-documents, mountPath: /etc/user-service/graphql, readOnly: true }
        {{- end }}
        {{- if $root.Values.caCertificates }}
        {{- include "user-service.caMount" $root | nindent 8 }}
        {{- end }}
      {{- end }}
  volumes:
    {{- /* What Kubernetes would mount into every container, for one of the two only. */}}
    - name: kubernetes-token
      projected:
        sources:
          - serviceAccountToken: { path: token, expirationSeconds: 3607 }
          - configMap: { name: kube-root-ca.crt, items: [{ key: ca.crt, path: ca.crt }] }
          - downwardAPI: { items: [{ path: namespace, fieldRef: { fieldPath: metadata.namespace } }] }
    {{- with .documents }}
    - name: graphql-documents
      projected:
        sources:
          - configMap: { name: {{ . | quote }}, items: [{ key: documents.json, path: documents.json }] }
    {{- end }}
    {{- if $root.Values.caCertificates }}
    {{- include "user-service.caVolume" $root | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* Takes the dict of `user-service.pod`. */}}
{{- define "user-service.podAnnotations" -}}
kubectl.kubernetes.io/default-container: {{ .component }}
{{- /* daprd reads its resources at its start only. */}}
checksum/dapr: {{ include "user-service.daprResources" .root | sha256sum | quote }}
{{- if .root.Values.metrics.annotations }}
prometheus.io/scrape: "true"
prometheus.io/port: "3002"
prometheus.io/path: /metrics
{{- end }}
{{ include "user-service.daprAnnotations" . }}
{{- end }}

{{- /* What the injector makes the sidecar of. Takes the dict of `user-service.pod`. */}}
{{- define "user-service.daprAnnotations" -}}
{{- $root := .root -}}
{{- $dapr := $root.Values.dapr -}}
dapr.io/enabled: "true"
dapr.io/app-id: {{ .appId }}
dapr.io/app-port: "3003"
dapr.io/app-protocol: http
dapr.io/config: {{ .config }}
dapr.io/api-token-secret: {{ include "user-service.daprApiTokenSecret" $root | quote }}
dapr.io/app-token-secret: {{ include "user-service.appApiTokenSecret" $root | quote }}
dapr.io/log-as-json: "true"
dapr.io/log-level: {{ $dapr.logLevel }}
dapr.io/enable-metrics: "true"
dapr.io/metrics-port: "9090"
{{- /*
Ends the wait below when the process has ended. Only after ten probes: for a pause in between daprd cancels its subscriptions and makes new
ones, and the old consumers keep the events they were given until daprd ends.
*/}}
dapr.io/enable-app-health-check: "true"
dapr.io/app-health-check-path: /healthz
dapr.io/app-health-probe-interval: "1"
dapr.io/app-health-probe-timeout: "900"
dapr.io/app-health-threshold: "10"
{{- /* Told to end, daprd takes no more deliveries and keeps its API open until the process has ended, at most so long. */}}
dapr.io/block-shutdown-duration: {{ printf "%ds" (add (.preStopSeconds | default 0 | int) 20) }}
{{- /* A sidecar that is unwell must not take the pod out of service: the process serves without it. Liveness restarts it first. */}}
dapr.io/sidecar-readiness-probe-threshold: "60"
{{- /* Or its API would hand out every Secret that the account may read, past the scopes of the Configuration. */}}
dapr.io/disable-builtin-k8s-secret-store: "true"
{{- /* No actors, reminders or workflows here. */}}
dapr.io/placement-host-address: ""
dapr.io/scheduler-host-address: ""
dapr.io/sidecar-seccomp-profile-type: RuntimeDefault
{{- $mounts := list }}
{{- if eq .tokenFor "daprd" }}
{{- $mounts = append $mounts "kubernetes-token:/var/run/secrets/kubernetes.io/serviceaccount" }}
{{- end }}
{{- if $root.Values.caCertificates }}
{{- $mounts = append $mounts (printf "ca-certificates:%s" (include "user-service.caFolder" $root)) }}
{{- /* Go reads this file beside the folder of public authorities that daprd's image has. With SSL_CERT_DIR the injector has daprd run as root. */}}
dapr.io/env: SSL_CERT_FILE={{ include "user-service.caFolder" $root }}/ca.crt
{{- end }}
{{- with $mounts }}
dapr.io/volume-mounts: {{ join "," . }}
{{- end }}
{{- with $dapr.resources.requests }}
dapr.io/sidecar-cpu-request: {{ .cpu | quote }}
dapr.io/sidecar-memory-request: {{ .memory | quote }}
{{- end }}
{{- with $dapr.resources.limits }}
{{- with .cpu }}
dapr.io/sidecar-cpu-limit: {{ . | quote }}
{{- end }}
dapr.io/sidecar-memory-limit: {{ .memory | quote }}
{{- end }}
{{- end }}

{{- define "user-service.daprResources" -}}
{{- range $name := list "access-control" "pubsub" "resiliency" "secrets" "state" }}
{{ include (printf "%s/dapr/%s.yaml" $.Template.BasePath $name) $ }}
{{- end }}
{{- end }}

{{- /* Where pods may run and how their image is pulled. */}}
{{- define "user-service.placement" -}}
{{- $placement := pick .Values "nodeSelector" "tolerations" "affinity" "priorityClassName" -}}
{{- $_ := set $placement "imagePullSecrets" .Values.image.pullSecrets -}}
{{- range $field, $value := $placement }}
{{- if $value }}
{{ dict $field $value | toYaml }}
{{- end }}
{{- end }}
{{- end }}
