package machines

import (
	"context"
	"fmt"
	"sync"

	v1 "k8s.io/api/core/v1"
)

// disk is what a machine keeps over a boot: the records of its pods.
type disk struct {
	mu        sync.Mutex
	records   map[string]record // by pod UID
	addresses int
}

func newDisk() *disk { return &disk{records: map[string]record{}} }

func (d *disk) load(uid string) (record, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, ok := d.records[uid]
	return found, ok
}

// save does nothing once the boot of ctx is over.
func (d *disk) save(ctx context.Context, uid string, r record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ctx.Err() == nil {
		d.records[uid] = r
	}
}

func (d *disk) forget(ctx context.Context, uid string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ctx.Err() == nil {
		delete(d.records, uid)
	}
}

// keepOnly drops the records of pods that were removed while the machine was
// down.
func (d *disk) keepOnly(bound map[string]*v1.Pod) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for uid := range d.records {
		if bound[uid] == nil {
			delete(d.records, uid)
		}
	}
}

// nextAddress returns a new pod address. An address is used again only after
// 4,096 others, when its pod no longer exists.
func (d *disk) nextAddress(machine int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.addresses++
	n := machine*4096 + d.addresses%4096
	return fmt.Sprintf("10.%d.%d.%d", 16+n>>16, n>>8&0xff, n&0xff)
}
