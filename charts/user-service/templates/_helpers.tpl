{{- /*
Names are fixed: Dapr app ids are, and an app id stands for one app of a namespace, so there is one release in a namespace. */}}

{{- define "user-service.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "user-service.labels" -}}
app.kubernetes.io/name: user-service
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* Of one component's pods. Takes (list root component). */}}
{{- define "user-service.selector" -}}
app.kubernetes.io/name: user-service
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- /* Cluster-wide things carry the namespace in their name, so that two releases do not share one. */}}
{{- define "user-service.clusterName" -}}
user-service-controller.{{ .Release.Namespace }}
{{- end }}

{{- define "user-service.daprApiTokenSecret" -}}
{{ .Values.tokens.daprApi.existingSecret | default "user-service-dapr-api-token" }}
{{- end }}

{{- define "user-service.appApiTokenSecret" -}}
{{ .Values.tokens.appApi.existingSecret | default "user-service-app-api-token" }}
{{- end }}

{{- /* What Pod Security `restricted` asks of a container, and a root file system that nothing can be written to. */}}
{{- define "user-service.containerSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- /* Of every pod, injected sidecar included: what a container does not say itself it has from here. */}}
{{- define "user-service.podSecurity" -}}
runAsNonRoot: true
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- /* An entry of `env` whose value is in a Secret. Takes (list variable secret key). */}}
{{- define "user-service.secretEnv" -}}
- name: {{ index . 0 }}
  valueFrom: { secretKeyRef: { name: {{ index . 1 | quote }}, key: {{ index . 2 }} } }
{{- end }}

{{- define "user-service.databaseEnv" -}}
{{ include "user-service.secretEnv" (list "DATABASE_URL" .Values.secrets.database "url") }}
{{ include "user-service.secretEnv" (list "DATABASE_DIRECT_URL" .Values.secrets.database "direct-url") }}
{{- end }}

{{- /* Of every process. */}}
{{- define "user-service.commonEnv" -}}
- { name: LOG_LEVEL, value: {{ .Values.logLevel | quote }} }
{{- if .Values.caCertificates }}
- { name: NODE_EXTRA_CA_CERTS, value: {{ include "user-service.caFolder" . }}/ca.crt }
{{- end }}
{{- range $name, $value := .Values.extraEnv }}
- { name: {{ $name | quote }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}

{{- /* Authorities of one's own, for processes and sidecars. */}}
{{- define "user-service.caFolder" -}}
/etc/user-service/ca
{{- end }}

{{- define "user-service.caMount" -}}
- { name: ca-certificates, mountPath: {{ include "user-service.caFolder" . }}, readOnly: true }
{{- end }}

{{- define "user-service.caVolume" -}}
- name: ca-certificates
  projected:
    sources:
      - configMap: { name: {{ .Values.caCertificates | quote }}, items: [{ key: ca.crt, path: ca.crt }] }
{{- end }}

{{- /* Of processes with a sidecar. */}}
{{- define "user-service.sidecarEnv" -}}
- { name: PORT, value: "3002" }
- { name: SIDECAR_PORT, value: "3003" }
{{ include "user-service.secretEnv" (list "DAPR_API_TOKEN" (include "user-service.daprApiTokenSecret" .) "token") }}
{{ include "user-service.secretEnv" (list "APP_API_TOKEN" (include "user-service.appApiTokenSecret" .) "token") }}
- name: POD_NAMESPACE
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
{{- with .Values.tracing }}
{{- if .otlpEndpoint }}
- { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .otlpEndpoint | quote }} }
- { name: OTEL_TRACES_SAMPLER, value: {{ .sampler | quote }} }
- { name: OTEL_TRACES_SAMPLER_ARG, value: {{ .sampledShare | quote }} }
{{- if .headersSecret }}
{{ include "user-service.secretEnv" (list "OTEL_EXPORTER_OTLP_HEADERS" .headersSecret "headers") }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Of api and worker: links in mail are built from PUBLIC_URL too. */}}
{{- define "user-service.serviceEnv" -}}
- { name: PUBLIC_URL, value: {{ .Values.publicUrl | quote }} }
- { name: DATABASE_MAX_CONNECTIONS, value: {{ .Values.databaseMaxConnections | quote }} }
{{ include "user-service.databaseEnv" . }}
{{- end }}
