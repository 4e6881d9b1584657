package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

var (
	groupVersion   = schema.GroupVersion{Group: "ses-smtp.dev", Version: "v1alpha1"}
	credentialKind = groupVersion.WithKind("SesSmtpCredential")
)

// SesSmtpCredential has the fields of crds/ that this controller reads or writes; the decoder drops all others.
type SesSmtpCredential struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec   Spec   `json:"spec"`
	Status Status `json:"status"`
}

type Spec struct {
	Region string `json:"region"`
	Source struct {
		SecretName string `json:"secretName"`
	} `json:"source"`
}

// Status is always written as a whole: an absent source or target becomes null, which a merge patch takes
// as removal.
type Status struct {
	ObservedGeneration int64              `json:"observedGeneration"`
	Conditions         []metav1.Condition `json:"conditions"`
	Source             *SecretVersion     `json:"source"`
	Target             *SecretVersion     `json:"target"`
}

type SecretVersion struct {
	Name            string    `json:"name,omitempty"`
	UID             types.UID `json:"uid"`
	ResourceVersion string    `json:"resourceVersion"`
}

func (c *SesSmtpCredential) DeepCopyObject() runtime.Object {
	out := &SesSmtpCredential{TypeMeta: c.TypeMeta, Spec: c.Spec, Status: c.Status.DeepCopy()}
	c.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	return out
}

func (s Status) DeepCopy() Status {
	s.Source, s.Target = s.Source.DeepCopy(), s.Target.DeepCopy()
	if s.Conditions != nil {
		conditions := make([]metav1.Condition, len(s.Conditions))
		for i := range s.Conditions {
			s.Conditions[i].DeepCopyInto(&conditions[i])
		}
		s.Conditions = conditions
	}
	return s
}

func (v *SecretVersion) DeepCopy() *SecretVersion {
	if v == nil {
		return nil
	}
	out := *v
	return &out
}

type SesSmtpCredentialList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []SesSmtpCredential `json:"items"`
}

func (l *SesSmtpCredentialList) DeepCopyObject() runtime.Object {
	out := &SesSmtpCredentialList{TypeMeta: l.TypeMeta}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range l.Items {
		out.Items = append(out.Items, *l.Items[i].DeepCopyObject().(*SesSmtpCredential))
	}
	return out
}

func addToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(groupVersion, &SesSmtpCredential{}, &SesSmtpCredentialList{})
	metav1.AddToGroupVersion(scheme, groupVersion)
	return nil
}
