package main

import "encoding/json"

// What an ordinary webhook decodes: the review, and all of the pod, as k8s.io/api has it, as far as the benchmark's pods go.

type review struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	Request    *request  `json:"request,omitempty"`
	Response   *response `json:"response,omitempty"`
}

type groupVersion struct {
	Group    string `json:"group"`
	Version  string `json:"version"`
	Kind     string `json:"kind,omitempty"`
	Resource string `json:"resource,omitempty"`
}

type request struct {
	UID             string          `json:"uid"`
	Kind            groupVersion    `json:"kind"`
	Resource        groupVersion    `json:"resource"`
	RequestKind     *groupVersion   `json:"requestKind,omitempty"`
	RequestResource *groupVersion   `json:"requestResource,omitempty"`
	SubResource     string          `json:"subResource,omitempty"`
	Name            string          `json:"name,omitempty"`
	Namespace       string          `json:"namespace,omitempty"`
	Operation       string          `json:"operation"`
	UserInfo        userInfo        `json:"userInfo"`
	Object          json.RawMessage `json:"object,omitempty"`
	OldObject       json.RawMessage `json:"oldObject,omitempty"`
	DryRun          *bool           `json:"dryRun,omitempty"`
	Options         json.RawMessage `json:"options,omitempty"`
}

type userInfo struct {
	Username string              `json:"username"`
	Groups   []string            `json:"groups"`
	Extra    map[string][]string `json:"extra,omitempty"`
}

type response struct {
	UID       string   `json:"uid"`
	Allowed   bool     `json:"allowed"`
	Patch     []byte   `json:"patch,omitempty"`
	PatchType string   `json:"patchType,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

type pod struct {
	Kind       string         `json:"kind,omitempty"`
	APIVersion string         `json:"apiVersion,omitempty"`
	Metadata   objectMeta     `json:"metadata"`
	Spec       podSpec        `json:"spec"`
	Status     map[string]any `json:"status,omitempty"`
}

type objectMeta struct {
	Name              string            `json:"name,omitempty"`
	GenerateName      string            `json:"generateName,omitempty"`
	Namespace         string            `json:"namespace,omitempty"`
	UID               string            `json:"uid,omitempty"`
	ResourceVersion   string            `json:"resourceVersion,omitempty"`
	CreationTimestamp string            `json:"creationTimestamp,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
	OwnerReferences   []struct {
		APIVersion         string `json:"apiVersion"`
		Kind               string `json:"kind"`
		Name               string `json:"name"`
		UID                string `json:"uid"`
		Controller         *bool  `json:"controller,omitempty"`
		BlockOwnerDeletion *bool  `json:"blockOwnerDeletion,omitempty"`
	} `json:"ownerReferences,omitempty"`
	ManagedFields []struct {
		Manager    string          `json:"manager,omitempty"`
		Operation  string          `json:"operation,omitempty"`
		APIVersion string          `json:"apiVersion,omitempty"`
		Time       string          `json:"time,omitempty"`
		FieldsType string          `json:"fieldsType,omitempty"`
		FieldsV1   json.RawMessage `json:"fieldsV1,omitempty"`
	} `json:"managedFields,omitempty"`
}

type podSpec struct {
	Volumes                       []map[string]any  `json:"volumes,omitempty"`
	Containers                    []container       `json:"containers"`
	InitContainers                []container       `json:"initContainers,omitempty"`
	RestartPolicy                 string            `json:"restartPolicy,omitempty"`
	TerminationGracePeriodSeconds *int64            `json:"terminationGracePeriodSeconds,omitempty"`
	DNSPolicy                     string            `json:"dnsPolicy,omitempty"`
	NodeSelector                  map[string]string `json:"nodeSelector,omitempty"`
	NodeName                      string            `json:"nodeName,omitempty"`
	ServiceAccountName            string            `json:"serviceAccountName,omitempty"`
	ServiceAccount                string            `json:"serviceAccount,omitempty"`
	SecurityContext               map[string]any    `json:"securityContext,omitempty"`
	SchedulerName                 string            `json:"schedulerName,omitempty"`
	Tolerations                   []toleration      `json:"tolerations,omitempty"`
	Affinity                      *affinity         `json:"affinity,omitempty"`
	Priority                      *int32            `json:"priority,omitempty"`
	EnableServiceLinks            *bool             `json:"enableServiceLinks,omitempty"`
	PreemptionPolicy              string            `json:"preemptionPolicy,omitempty"`
}

type probe struct {
	HTTPGet        map[string]any `json:"httpGet,omitempty"`
	TimeoutSeconds int32          `json:"timeoutSeconds,omitempty"`
	PeriodSeconds  int32          `json:"periodSeconds,omitempty"`
}

type container struct {
	Name  string   `json:"name"`
	Image string   `json:"image,omitempty"`
	Args  []string `json:"args,omitempty"`
	Ports []struct {
		Name          string `json:"name,omitempty"`
		ContainerPort int32  `json:"containerPort"`
		Protocol      string `json:"protocol,omitempty"`
	} `json:"ports,omitempty"`
	Env []struct {
		Name      string         `json:"name"`
		Value     string         `json:"value,omitempty"`
		ValueFrom map[string]any `json:"valueFrom,omitempty"`
	} `json:"env,omitempty"`
	Resources struct {
		Limits   map[string]string `json:"limits,omitempty"`
		Requests map[string]string `json:"requests,omitempty"`
	} `json:"resources,omitempty"`
	VolumeMounts []struct {
		Name      string `json:"name"`
		ReadOnly  bool   `json:"readOnly,omitempty"`
		MountPath string `json:"mountPath"`
	} `json:"volumeMounts,omitempty"`
	LivenessProbe            *probe         `json:"livenessProbe,omitempty"`
	ReadinessProbe           *probe         `json:"readinessProbe,omitempty"`
	TerminationMessagePath   string         `json:"terminationMessagePath,omitempty"`
	TerminationMessagePolicy string         `json:"terminationMessagePolicy,omitempty"`
	ImagePullPolicy          string         `json:"imagePullPolicy,omitempty"`
	SecurityContext          map[string]any `json:"securityContext,omitempty"`
}

type toleration struct {
	Key               string `json:"key,omitempty"`
	Operator          string `json:"operator,omitempty"`
	Value             string `json:"value,omitempty"`
	Effect            string `json:"effect,omitempty"`
	TolerationSeconds *int64 `json:"tolerationSeconds,omitempty"`
}

type affinity struct {
	NodeAffinity    *nodeAffinity  `json:"nodeAffinity,omitempty"`
	PodAffinity     map[string]any `json:"podAffinity,omitempty"`
	PodAntiAffinity map[string]any `json:"podAntiAffinity,omitempty"`
}

type nodeAffinity struct {
	Required  map[string]any  `json:"requiredDuringSchedulingIgnoredDuringExecution,omitempty"`
	Preferred []preferredTerm `json:"preferredDuringSchedulingIgnoredDuringExecution,omitempty"`
}

type preferredTerm struct {
	Weight     int32        `json:"weight"`
	Preference selectorTerm `json:"preference"`
}

type selectorTerm struct {
	MatchExpressions []expression `json:"matchExpressions,omitempty"`
}

type expression struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}
