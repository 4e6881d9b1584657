package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	fieldManager = "reference-go"
	sourceIndex  = "spec.source.secretName"
)

var secretKind = corev1.SchemeGroupVersion.WithKind("Secret")

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// reconciler keeps the target Secret, which is named like its credential.
type reconciler struct {
	client.Client               // reads the cache: credentials, and the metadata of Secrets
	live          client.Reader // reads the API server: the source
	memory        *memory
}

func (r *reconciler) setup(ctx context.Context, mgr ctrl.Manager, workers int) error {
	err := mgr.GetFieldIndexer().IndexField(ctx, &SesSmtpCredential{}, sourceIndex, func(o client.Object) []string {
		return []string{o.(*SesSmtpCredential).Spec.Source.SecretName}
	})
	if err != nil {
		return err
	}
	yes := true
	return ctrl.NewControllerManagedBy(mgr).
		For(&SesSmtpCredential{}, builder.WithPredicates(predicate.Funcs{
			// A status write leaves the generation as it is. After a lost watch, an object that took the place of
			// a deleted one comes as an update, too, as a rule with the same generation.
			UpdateFunc: func(e event.UpdateEvent) bool {
				return e.ObjectNew.GetGeneration() != e.ObjectOld.GetGeneration() ||
					e.ObjectNew.GetUID() != e.ObjectOld.GetUID()
			},
		})).
		WatchesMetadata(&corev1.Secret{}, handler.Funcs{
			CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
				// Every credential is queued at the start, and no worker runs before all caches are filled.
				if !e.IsInInitialList {
					r.enqueueNews(ctx, e.Object, q)
				}
			},
			UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
				r.enqueueNews(ctx, e.ObjectNew, q)
			},
			DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
				for _, key := range append(r.readersOf(ctx, e.Object), r.writersOf(ctx, e.Object)...) {
					r.memory.deleted(key)
					q.Add(reconcile.Request{NamespacedName: key})
				}
			},
		}).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			EnableWarmup:            &yes, // a standby has full caches when it becomes the leader
			// The default adds a limit for all together, 10 a second: after an outage each would wait for the others.
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](
				5*time.Millisecond, time.Minute),
		}).
		Complete(r)
}

func (r *reconciler) enqueueNews(ctx context.Context, secret client.Object, q queue) {
	version := number(secret.GetResourceVersion())
	for _, key := range r.readersOf(ctx, secret) {
		if version > r.memory.get(key).source {
			q.Add(reconcile.Request{NamespacedName: key})
		}
	}
	for _, key := range r.writersOf(ctx, secret) {
		if version > r.memory.get(key).target {
			q.Add(reconcile.Request{NamespacedName: key})
		}
	}
}

// readersOf are the credentials whose source the Secret is.
func (r *reconciler) readersOf(ctx context.Context, secret client.Object) []types.NamespacedName {
	var credentials SesSmtpCredentialList
	err := r.List(ctx, &credentials, client.InNamespace(secret.GetNamespace()),
		client.MatchingFields{sourceIndex: secret.GetName()})
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "the cache of credentials cannot be read")
	}
	var keys []types.NamespacedName
	for i := range credentials.Items {
		keys = append(keys, client.ObjectKeyFromObject(&credentials.Items[i]))
	}
	return keys
}

// writersOf is the credential whose target the Secret is, if any.
func (r *reconciler) writersOf(ctx context.Context, secret client.Object) []types.NamespacedName {
	key := client.ObjectKeyFromObject(secret)
	if err := r.Get(ctx, key, &SesSmtpCredential{}); err != nil {
		return nil
	}
	return []types.NamespacedName{key}
}

func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	key := request.NamespacedName
	var credential SesSmtpCredential // shares its parts with the cache: not to be changed
	if err := r.Get(ctx, key, &credential); err != nil {
		r.memory.forget(key)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if credential.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	uid, generation := credential.UID, credential.Generation
	last := r.memory.of(key, uid)
	if upToDate, err := r.upToDate(ctx, &credential, last); upToDate || err != nil {
		return reconcile.Result{}, err
	}
	done, err := r.sync(ctx, &credential)
	if err != nil {
		return reconcile.Result{}, err
	}
	// Read again: meanwhile the cache caught up with our last status, as a rule.
	if err := r.Get(ctx, key, &credential); err != nil || credential.UID != uid {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	status := done.status(&credential, generation)
	written := last.status
	// A cache that lags behind our last write cannot tell whether there is a change.
	if number(credential.ResourceVersion) < last.status || !equality.Semantic.DeepEqual(status, credential.Status) {
		if written, err = r.writeStatus(ctx, &credential, status); err != nil {
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
	}
	r.memory.done(key, uid, versions{
		generation: generation,
		source:     status.Source.number(),
		target:     status.Target.number(),
		status:     written,
	}, last.deletions)
	return reconcile.Result{}, nil
}

// upToDate says whether nothing changed since this process, or the one before it, was last here. It asks the
// caches only, so that a restart costs no request.
func (r *reconciler) upToDate(ctx context.Context, credential *SesSmtpCredential, last record) (bool, error) {
	key := client.ObjectKeyFromObject(credential)
	target, err := r.cached(ctx, key)
	if err != nil {
		return false, err
	}
	key.Name = credential.Spec.Source.SecretName
	source, err := r.cached(ctx, key)
	if err != nil {
		return false, err
	}
	if last.complete {
		return credential.Generation == last.generation && source <= last.source && target <= last.target &&
			last.deletions == last.answered, nil
	}
	status := &credential.Status
	return credential.Generation == status.ObservedGeneration &&
		source == status.Source.number() && target == status.Target.number(), nil
}

// cached is the resourceVersion of a Secret, 0 when there is none.
func (r *reconciler) cached(ctx context.Context, key types.NamespacedName) (uint64, error) {
	secret := metadata(secretKind, key)
	if err := r.Get(ctx, key, secret); err != nil {
		return 0, client.IgnoreNotFound(err)
	}
	return number(secret.ResourceVersion), nil
}

// outcome is what came of a source: a target, or the reason why there is no new one.
type outcome struct {
	source, target  *SecretVersion
	ready           metav1.ConditionStatus
	reason, message string
}

// status is the credential's, brought up to date.
func (o outcome) status(credential *SesSmtpCredential, generation int64) Status {
	status := credential.Status.DeepCopy()
	status.ObservedGeneration = generation
	status.Source = o.source
	if o.target != nil {
		status.Target = o.target
	}
	meta.SetStatusCondition(&status.Conditions, metav1.Condition{
		Type: "Ready", Status: o.ready, Reason: o.reason, Message: o.message, ObservedGeneration: generation,
	})
	return status
}

// sync brings the target up to date, or says why that cannot be.
func (r *reconciler) sync(ctx context.Context, credential *SesSmtpCredential) (outcome, error) {
	name := credential.Spec.Source.SecretName
	var source corev1.Secret
	err := r.live.Get(ctx, types.NamespacedName{Namespace: credential.Namespace, Name: name}, &source)
	if apierrors.IsNotFound(err) {
		return outcome{
			ready: metav1.ConditionFalse, reason: "SourceNotFound",
			message: fmt.Sprintf("Secret %s does not exist; create it", name),
		}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	read := &SecretVersion{UID: source.UID, ResourceVersion: source.ResourceVersion}

	accessKeyID, secretAccessKey := string(source.Data["accessKeyId"]), string(source.Data["secretAccessKey"])
	if accessKeyID == "" || secretAccessKey == "" {
		return outcome{
			source: read, ready: metav1.ConditionFalse, reason: "SourceKeysNotFound",
			message: fmt.Sprintf("Secret %s lacks accessKeyId or secretAccessKey; add them", name),
		}, nil
	}
	region := credential.Spec.Region
	if region == "" {
		region = string(source.Data["region"])
	}
	if region == "" {
		return outcome{
			source: read, ready: metav1.ConditionFalse, reason: "RegionMissing",
			message: fmt.Sprintf("neither spec.region nor Secret %s names a region; set one", name),
		}, nil
	}

	target, err := r.applyTarget(ctx, credential, loginData(accessKeyID, secretAccessKey, region))
	if err != nil {
		return outcome{}, err
	}
	written := &SecretVersion{Name: target.Name, UID: target.UID, ResourceVersion: target.ResourceVersion}
	r.memory.wroteTarget(client.ObjectKeyFromObject(credential), credential.UID, written.number())
	return outcome{
		source: read, target: written, ready: metav1.ConditionTrue, reason: "Synced",
		message: "the target Secret holds the login of the current key",
	}, nil
}

// applyTarget asks for metadata as the answer: the login need not come back.
func (r *reconciler) applyTarget(
	ctx context.Context, credential *SesSmtpCredential, data map[string][]byte,
) (*metav1.PartialObjectMetadata, error) {
	body, err := json.Marshal(corev1ac.Secret(credential.Name, credential.Namespace).
		WithLabels(map[string]string{"app.kubernetes.io/managed-by": fieldManager}).
		WithOwnerReferences(metav1ac.OwnerReference().
			WithAPIVersion(groupVersion.String()).WithKind(credentialKind.Kind).
			WithName(credential.Name).WithUID(credential.UID).
			WithController(true).WithBlockOwnerDeletion(true)).
		WithData(data))
	if err != nil {
		return nil, err
	}
	target := metadata(secretKind, client.ObjectKeyFromObject(credential))
	return target, r.Patch(ctx, target, client.RawPatch(types.ApplyPatchType, body),
		client.FieldOwner(fieldManager), client.ForceOwnership)
}

// writeStatus returns the credential's new resourceVersion. The one that was read is part of the patch: the API
// server then refuses to write a deleted object's status onto a new one of its name, which it does not do by UID.
func (r *reconciler) writeStatus(ctx context.Context, credential *SesSmtpCredential, status Status) (uint64, error) {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]string{"resourceVersion": credential.ResourceVersion},
		"status":   status,
	})
	if err != nil {
		return 0, err
	}
	answer := metadata(credentialKind, client.ObjectKeyFromObject(credential))
	err = r.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, body), client.FieldOwner(fieldManager))
	return number(answer.ResourceVersion), err
}

func (v *SecretVersion) number() uint64 {
	if v == nil {
		return 0
	}
	return number(v.ResourceVersion)
}

func metadata(kind schema.GroupVersionKind, key types.NamespacedName) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	object.SetGroupVersionKind(kind)
	return object
}
