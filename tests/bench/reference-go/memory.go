package main

import (
	"strconv"
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// versions are resourceVersions as numbers, which is how the API server compares them; 0 is none.
type versions struct {
	generation int64  // of the credential
	source     uint64 // of the Secret that was read
	target     uint64 // of the Secret after it was written
	status     uint64 // of the credential after its status was written
}

// record is what this process did for one credential. Until it is complete, the credential's own status is
// the record.
type record struct {
	versions
	uid       types.UID // whose record it is: there may be another object of that name by now
	complete  bool
	deletions int // of the source or target that the watch told
	answered  int // of these, how many came before the last reconciliation began
}

// memory tells the echo of our own writes, and events older than what was read live, from news. The caches
// alone cannot: they lag behind the writes, each by its own time. Safe for concurrent use.
type memory struct {
	mutex   sync.Mutex
	records map[types.NamespacedName]record
}

func newMemory() *memory { return &memory{records: map[types.NamespacedName]record{}} }

func (m *memory) get(key types.NamespacedName) record {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.records[key]
}

// of is the record of one object; what an earlier one of that name left does not count.
func (m *memory) of(key types.NamespacedName, uid types.UID) record {
	return m.get(key).of(uid)
}

func (r record) of(uid types.UID) record {
	if r.uid != uid {
		return record{uid: uid, deletions: r.deletions}
	}
	return r
}

func (m *memory) change(key types.NamespacedName, change func(*record)) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	r := m.records[key]
	change(&r)
	m.records[key] = r
}

// wroteTarget lets the target's echo pass unnoticed while the status is still being written. Should that
// fail, the record is not complete and the status tells what is left to do.
func (m *memory) wroteTarget(key types.NamespacedName, uid types.UID, target uint64) {
	m.change(key, func(r *record) {
		*r = r.of(uid)
		r.target, r.complete = target, false
	})
}

// done ends a reconciliation that began when there were so many deletions.
func (m *memory) done(key types.NamespacedName, uid types.UID, v versions, deletions int) {
	m.change(key, func(r *record) { r.versions, r.uid, r.complete, r.answered = v, uid, true, deletions })
}

func (m *memory) deleted(key types.NamespacedName) {
	m.change(key, func(r *record) { r.deletions++ })
}

func (m *memory) forget(key types.NamespacedName) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.records, key)
}

func number(resourceVersion string) uint64 {
	n, _ := strconv.ParseUint(resourceVersion, 10, 64)
	return n
}
