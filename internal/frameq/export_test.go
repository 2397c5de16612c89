package frameq

// Shared reports whether other queues may have the frame, too.
func (f *Frame) Shared() bool { return f.of != nil }

// Counted reports whether the budget counts a shared frame for its queue.
func (f *Frame) Counted() bool { return f.counted }
