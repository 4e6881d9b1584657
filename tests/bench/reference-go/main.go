// reference-go does the ordinary work of ses-smtp-operator the way controller-runtime is best used, as a measure
// for it. README.md says what is in it and what is not.
package main

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

func main() {
	// Of so small a heap half is headroom enough: less memory for no more CPU time.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	// Frameworks log what is wrong only; this program says that it has started.
	logger := logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctrl.SetLogger(logger)
	klog.SetLogger(logger)
	if err := run(ctrl.SetupSignalHandler()); err != nil {
		slog.Error("reference-go failed", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	workers := flag.Int("workers", 8, "credentials that are worked on at a time")
	elect := flag.Bool("leader-elect", true, "work only while holding the Lease")
	namespace := flag.String("lease-namespace", "ses-smtp-system", "the Lease's namespace")
	name := flag.String("lease-name", "reference-go", "the Lease's name")
	metrics := flag.String("metrics-bind-address", "0", "where metrics are served; 0 is nowhere")
	flag.Parse() // and --kubeconfig, which is controller-runtime's own

	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	config.UserAgent = "reference-go"
	config.QPS = -1 // the API server's priority and fairness limits us, better than a fixed rate can

	// Lists come one object at a time, each stripped before the next is read, not as one large answer.
	// client-go has this on by default from 0.35.
	if err := os.Setenv("KUBE_FEATURE_WatchListClient", "true"); err != nil {
		return err
	}

	scheme := runtime.NewScheme()
	builder := runtime.NewSchemeBuilder(corev1.AddToScheme, addToScheme)
	if err := builder.AddToScheme(scheme); err != nil {
		return err
	}
	yes := true
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		MapperProvider:                kinds,
		LeaderElection:                *elect,
		LeaderElectionNamespace:       *namespace,
		LeaderElectionID:              *name,
		LeaderElectionReleaseOnCancel: true,
		Metrics:                       server.Options{BindAddress: *metrics},
		Cache: cache.Options{
			ReaderFailOnMissingInformer: true, // nothing is watched by accident, least of all whole Secrets
			ByObject: map[client.Object]cache.ByObject{
				&SesSmtpCredential{}: {Transform: stripCredential, UnsafeDisableDeepCopy: &yes},
				&corev1.Secret{}:     {Transform: stripSecret, UnsafeDisableDeepCopy: &yes},
			},
		},
	})
	if err != nil {
		return err
	}
	r := &reconciler{Client: mgr.GetClient(), live: mgr.GetAPIReader(), memory: newMemory()}
	if err := r.setup(ctx, mgr, *workers); err != nil {
		return err
	}
	err = mgr.Add(manager.RunnableFunc(func(ctx context.Context) error {
		slog.Info("reference-go started", "workers", *workers)
		return nil
	}))
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// kinds is all there is to know of the API, so that a start asks for no discovery.
func kinds(*rest.Config, *http.Client) (meta.RESTMapper, error) {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(secretKind, meta.RESTScopeNamespace)
	mapper.Add(credentialKind, meta.RESTScopeNamespace)
	return mapper, nil
}

// stripCredential keeps what a reconciliation reads.
func stripCredential(object any) (any, error) {
	if credential, ok := object.(*SesSmtpCredential); ok {
		stripMetadata(&credential.ObjectMeta)
	}
	return object, nil
}

// stripSecret keeps its identity and version: of most Secrets nothing else is ever asked.
func stripSecret(object any) (any, error) {
	if secret, ok := object.(*metav1.PartialObjectMetadata); ok {
		stripMetadata(&secret.ObjectMeta)
		secret.UID = ""
	}
	return object, nil
}

func stripMetadata(object *metav1.ObjectMeta) {
	*object = metav1.ObjectMeta{
		Namespace:         object.Namespace,
		Name:              object.Name,
		UID:               object.UID,
		ResourceVersion:   object.ResourceVersion,
		Generation:        object.Generation,
		DeletionTimestamp: object.DeletionTimestamp,
	}
}
