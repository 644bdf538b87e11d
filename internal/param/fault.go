package param

// Error says what is wrong with a text or with an expression in it, and where.
type Error struct {
	Offset  int // in bytes, within the text given to CompileText or CompileCondition
	Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// moved returns the error as seen from a text in which its own begins at
// offset.
func (e *Error) moved(offset int) *Error {
	return &Error{Offset: e.Offset + offset, Message: e.Message}
}
