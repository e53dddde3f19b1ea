{{- define "ping.labels" -}}
app.kubernetes.io/part-of: ping
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- /* call: dict "root" . "component" NAME */ -}}
{{- define "ping.selector" -}}
app.kubernetes.io/name: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- /* call: dict "root" . "image" VALUES */ -}}
{{- define "ping.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- define "ping.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "ping.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
privileged: false
capabilities: {drop: [ALL]}
{{- end }}

{{- /* Where ledger, log and store are. Kubernetes puts the secrets in place of $(…); none stands in a manifest.
       call: dict "root" . "user" KAFKAUSER "host" POSTGRESHOST "store" BOOL, and "audit" true for who only reads */ -}}
{{- define "ping.backends" -}}
{{- $v := .root.Values -}}
{{- $secret := ternary $v.postgres.auditSecret $v.postgres.secret (default false .audit) -}}
- name: PGUSER
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: username}}
- name: PGPASSWORD
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: password}}
- name: PING_LEDGER
  value: postgres://{{ .host }}:{{ $v.postgres.port }}/{{ $v.postgres.database }}?sslmode={{ if eq .host $v.postgres.directHost }}verify-full{{ else }}verify-ca{{ end }}&sslrootcert=/etc/ping/postgres/ca.crt
- name: PING_PUBLISHER_SLOTS
  value: {{ $v.slots | quote }}
{{ include "ping.logAndStore" . }}
{{- end }}

{{- define "ping.mounts" -}}
- {name: kafka-ca, mountPath: /etc/ping/kafka, readOnly: true}
- {name: postgres-ca, mountPath: /etc/ping/postgres, readOnly: true}
{{- if and .store .root.Values.scylla.enabled }}
- {name: scylla-ca, mountPath: /etc/ping/scylla, readOnly: true}
- {name: scylla-client, mountPath: /etc/ping/scylla-client, readOnly: true}
{{- end }}
- {name: scratch, mountPath: /var/lib/ping}
- {name: scratch, mountPath: /tmp}
{{- end }}

{{- define "ping.volumes" -}}
{{- $v := .root.Values -}}
- name: kafka-ca
  secret: {secretName: {{ $v.kafka.caSecret }}, items: [{key: ca.crt, path: ca.crt}]}
- name: postgres-ca
  secret: {secretName: {{ $v.postgres.caSecret }}, items: [{key: ca.crt, path: ca.crt}]}
{{- if and .store $v.scylla.enabled }}
- name: scylla-ca
  configMap: {name: {{ $v.scylla.caConfigMap }}}
- name: scylla-client
  secret: {secretName: {{ $v.scylla.clientCertSecret }}, defaultMode: 0440}
{{- end }}
- name: scratch
  emptyDir: {sizeLimit: 64Mi}
{{- end }}

{{- define "ping.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector: {matchLabels: {{ include "ping.selector" . | fromYaml | toJson }}}
{{- if .root.Values.zones }}
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: DoNotSchedule
  labelSelector: {matchLabels: {{ include "ping.selector" . | fromYaml | toJson }}}
{{- end }}
{{- end }}

{{- /* What a render must not let through. */ -}}
{{- define "ping.check" -}}
{{- $pods := ternary .Values.autoscaling.max .Values.replicas .Values.autoscaling.enabled | int -}}
{{- if gt (mul (add1 $pods) (int .Values.publishers)) (int .Values.slots) -}}
{{- fail (printf "%d pods and one more during a roll-out, with %d publishers each, need more than the %d slots that there are: raise slots (pingctl migrate adds them) or lower autoscaling.max" $pods (int .Values.publishers) (int .Values.slots)) -}}
{{- end -}}
{{- if and (or .Values.gateway.enabled .Values.ingress.enabled) (not .Values.trustedProxies) -}}
{{- fail "behind a gateway or an ingress every client would have the proxy's address: set trustedProxies to the networks that its pods are in" -}}
{{- end -}}
{{- if and (ne .Values.engine.kind "none") (not .Values.scylla.enabled) -}}
{{- fail "an engine needs a store: scylla.enabled, or engine.kind none" -}}
{{- end -}}
{{- end }}

{{- /* What pingd and the Flink job are both told, in the same words. call: dict "root" . "user" KAFKAUSER "store" BOOL, and "audit" */ -}}
{{- define "ping.logAndStore" -}}
{{- $v := .root.Values -}}
- name: KAFKA_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .user }}, key: password}}
- name: PING_LOG
  value: kafka://{{ $v.kafka.bootstrap }}
- name: PING_KAFKA
  value: |-
    security.protocol=sasl_ssl
    sasl.mechanisms=SCRAM-SHA-512
    sasl.username={{ .user }}
    sasl.password=$(KAFKA_PASSWORD)
    ssl.ca.location=/etc/ping/kafka/ca.crt
- name: PING_LOG_PARTITIONS
  value: {{ $v.kafka.partitions | quote }}
- name: PING_LOG_EPOCH
  value: {{ $v.kafka.epoch | quote }}
{{- if and .store $v.scylla.enabled }}
- name: SCYLLA_USER
  valueFrom: {secretKeyRef: {name: {{ $v.scylla.secret }}, key: {{ ternary "audit-username" "username" (default false .audit) }}}}
- name: SCYLLA_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $v.scylla.secret }}, key: {{ ternary "audit-password" "password" (default false .audit) }}}}
- name: PING_STORE
  value: scylla://$(SCYLLA_USER):$(SCYLLA_PASSWORD)@{{ $v.scylla.hosts }}/metrics?datacenter={{ $v.scylla.datacenter }}
    {{- with $v.scylla.replication }}&replication={{ . }}{{ end }}
    {{- with $v.scylla.keyspaceOptions }}&keyspace_options={{ . }}{{ end -}}
    &tls=true&tls_ca=/etc/ping/scylla/ca-bundle.crt&tls_cert=/etc/ping/scylla-client/tls.crt&tls_key=/etc/ping/scylla-client/tls.key
{{- end }}
{{- end }}
