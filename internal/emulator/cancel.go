package emulator

import "net/http"

// cancel withdraws a PENDING task, whichever key of the account made it. Any other task, and an
// id nobody knows, is an UnsupportedOperation (for the latter the documents say nothing).
func (c *call) cancel(id string) {
	c.mu.Lock()
	t := c.find(id)
	ok := t != nil && t.status == statusPending
	if ok {
		t.account.lane(t.order.Model, &c.opt).withdraw(t)
		t.status, t.done = statusCanceled, c.at
	}
	c.mu.Unlock()
	if !ok {
		c.refuse(*badRequest("UnsupportedOperation",
			"Failed to cancel the task, please confirm if the task is in PENDING status."))
		return
	}
	writeJSON(c.w, http.StatusOK, struct {
		RequestID string `json:"request_id"`
	}{c.id})
}
