{{/* SPDX-License-Identifier: MIT */}}
{{/*
One installation a cluster: the CRD, the controllers and the policies are cluster-wide. So names are fixed, and Helm
itself refuses a second release.
*/}}
{{- define "l2lb.labels" -}}
app.kubernetes.io/name: l2-load-balancer
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* A Pod's labels, which also select it: without the version, which would restart every Pod whenever it changes. */}}
{{- define "l2lb.podLabels" -}}
app.kubernetes.io/name: l2-load-balancer
app.kubernetes.io/component: {{ . }}
{{- end }}

{{- define "l2lb.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* What every container of ours has, but for the speaker's one capability. */}}
{{- define "l2lb.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "l2lb.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "l2lb.tlsSecret" -}}
{{- if eq .Values.webhook.tls.mode "secret" -}}
{{ required "webhook.tls.mode is secret: name the Secret in webhook.tls.existingSecret" .Values.webhook.tls.existingSecret }}
{{- else if ne .Values.webhook.tls.mode "none" -}}
l2lb-webhook-tls
{{- end -}}
{{- end }}

{{- define "l2lb.heartbeatSecret" -}}
{{ .Values.speaker.existingSecret | default "l2lb-heartbeat-keys" }}
{{- end }}

{{- define "l2lb.webhookUrl" -}}
{{ eq .Values.webhook.tls.mode "none" | ternary "http" "https" }}://l2lb-webhook.{{ .Release.Namespace }}.svc
{{- end }}

{{/* The annotation keys in force that stand for a name of ours, as a JSON list: our own first, then its aliases. */}}
{{- define "l2lb.keys" -}}
{{- $keys := list (printf "%s/%s" .root.Values.annotations.prefix .name) -}}
{{- range $alias, $name := .root.Values.annotations.aliases -}}
{{- if eq $name $.name }}{{ $keys = append $keys $alias }}{{ end -}}
{{- end -}}
{{ toJson $keys }}
{{- end }}

{{/* A Job's Pod: the webhook's image under another command. Takes root, account and arguments. */}}
{{- define "l2lb.jobPod" -}}
{{- $root := .root -}}
metadata:
  labels:
    app.kubernetes.io/name: l2-load-balancer
    app.kubernetes.io/component: upkeep
spec:
  serviceAccountName: {{ .account }}
  enableServiceLinks: false
  restartPolicy: Never
  {{- with $root.Values.images.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 2 }}
  {{- end }}
  securityContext: {{- include "l2lb.podSecurity" $root | nindent 4 }}
  {{- with $root.Values.webhook.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.webhook.tolerations }}
  tolerations: {{- toYaml . | nindent 2 }}
  {{- end }}
  containers:
  - name: upkeep
    image: {{ include "l2lb.image" (dict "root" $root "image" $root.Values.images.webhook) }}
    imagePullPolicy: {{ $root.Values.images.webhook.pullPolicy }}
    command: [python, -m, app.upkeep]
    args: {{- toYaml .arguments | nindent 4 }}
    securityContext: {{- include "l2lb.containerSecurity" $root | nindent 6 }}
    terminationMessagePolicy: FallbackToLogsOnError
    resources: {{- toYaml $root.Values.jobs.resources | nindent 6 }}
    volumeMounts:
    - {name: scratch, mountPath: /tmp}
  volumes:
  # Private keys pass through it, so it is no disk.
  - name: scratch
    emptyDir: {medium: Memory, sizeLimit: 1Mi}
{{- end }}

{{/* The Secrets that the credentials Job makes, as a JSON list of names; none when all are given. */}}
{{- define "l2lb.madeSecrets" -}}
{{- $names := list -}}
{{- if not .Values.speaker.existingSecret }}{{ $names = append $names "l2lb-heartbeat-keys" }}{{ end -}}
{{- if eq .Values.webhook.tls.mode "selfSigned" }}{{ $names = concat $names (list "l2lb-webhook-tls" "l2lb-webhook-authority") }}{{ end -}}
{{ toJson $names }}
{{- end }}

{{- define "l2lb.credentialsHook" -}}
helm.sh/hook: pre-install,pre-upgrade
{{ include "l2lb.hook" . }}
{{- end }}

{{- define "l2lb.uninstallHook" -}}
helm.sh/hook: pre-delete
{{ include "l2lb.hook" . }}
{{- end }}

{{- define "l2lb.hook" -}}
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded,hook-failed
helm.sh/hook-output-log-policy: hook-succeeded,hook-failed
{{- end }}

{{- define "l2lb.metacontrollerUser" -}}
system:serviceaccount:{{ .Values.metacontroller.namespace }}:{{ .Values.metacontroller.serviceAccount }}
{{- end }}

{{- define "l2lb.speakerUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:l2lb-speaker
{{- end }}

{{/* A policy's binding: all it matches is refused. Takes root, the policy's name and, where it has parameters, how. */}}
{{- define "l2lb.binding" -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .policy }}
  labels: {{- include "l2lb.labels" .root | nindent 4 }}
spec:
  policyName: {{ .policy }}
  validationActions: [Deny]
  {{- with .params }}
  paramRef: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* What the name of a balancer matches in an annotation, as a regular expression: a label's value can carry it. */}}
{{- define "l2lb.balancerName" -}}
^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$
{{- end }}

{{/* All annotation keys in force, as a JSON list. */}}
{{- define "l2lb.allKeys" -}}
{{- $all := list -}}
{{- range list "load-balancer" "ip-count" "addresses" "sharing-key" -}}
{{- $all = concat $all (include "l2lb.keys" (dict "root" $ "name" .) | fromJsonArray) -}}
{{- end -}}
{{ toJson $all }}
{{- end }}
