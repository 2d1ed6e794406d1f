package dashscope

import "strings"

// Class says what kind of failure a code is. It is a fact about the code, not
// a decision: how often to try again is the caller's policy.
type Class uint8

// The classes. The zero Class is none of them.
const (
	// ClassInput: this pair cannot succeed as it is. Others may.
	ClassInput Class = iota + 1
	// ClassConfig: the request or the set-up is wrong and would be for every pair.
	ClassConfig
	// ClassThrottle: slow down, then try again.
	ClassThrottle
	// ClassBurst: the rate rose too fast. Pause (about a minute), then go gently.
	ClassBurst
	// ClassQuota: an allocated quota is used up. It may be a throttle; after a
	// bounded number of tries it is the account.
	ClassQuota
	// ClassRetry: transient; try again, a bounded number of times. For a create
	// see [Error.MayHaveExecuted] first.
	ClassRetry
	// ClassAccount: permission, activation or money. No create will succeed until
	// a person acts; existing tasks can still be followed.
	ClassAccount
	// ClassKey: the key itself is refused. Nothing works with it.
	ClassKey
)

// String returns the class as one lower-case word.
func (c Class) String() string {
	switch c {
	case ClassInput:
		return "input"
	case ClassConfig:
		return "config"
	case ClassThrottle:
		return "throttle"
	case ClassBurst:
		return "burst"
	case ClassQuota:
		return "quota"
	case ClassRetry:
		return "retry"
	case ClassAccount:
		return "account"
	case ClassKey:
		return "key"
	}
	return "none"
}

// Hint tells a person what to do about code, which was classified as c: never
// empty, lower case and without a full stop, to follow a semicolon or a colon.
func (c Class) Hint(code string) string {
	code = normalize(code)
	for _, r := range codes {
		if r.class == c && r.hint != "" && r.matches(code) {
			return r.hint
		}
	}
	return c.advice()
}

func (c Class) advice() string {
	switch c {
	case ClassInput:
		return "replace the image or the video of this pair; it will be refused again as it is"
	case ClassConfig:
		return "correct the manifest or the endpoint; every pair would be refused like this one"
	case ClassThrottle:
		return "the provider asks to slow down; the run continues by itself"
	case ClassBurst:
		return "the request rate rose too fast; the run pauses and goes on more slowly"
	case ClassQuota:
		return "the allocated quota is used up; wait, or raise it in the Model Studio console"
	case ClassRetry:
		return "a temporary fault at the provider; try again later"
	case ClassAccount:
		return "check permissions, activation and balance of the account in the Model Studio console"
	case ClassKey:
		return "set a valid API key of the same region as the endpoint"
	}
	return "look the code up in the provider's error list and ask its support with the request id"
}

// Classify finds the class of a failed call from its HTTP status, code and
// message, or of a FAILED task from status 200 and the task's own code and
// message; status 0 stands for no answer. Codes match whatever their case
// and in their snake_case spelling; the message decides only where the provider
// uses one code for two things. An unknown code is judged by status: a refusal
// concerns its pair alone, unless it speaks of key, permission or path.
func Classify(status int, code, message string) Class {
	code, message = normalize(code), strings.ToLower(message)
	for _, r := range codes {
		if r.matches(code) && strings.Contains(message, r.wording) {
			return r.class
		}
	}
	return classifyStatus(status)
}

func classifyStatus(status int) Class {
	switch {
	case status == 401:
		return ClassKey
	case status == 402, status == 403:
		return ClassAccount
	case status == 429:
		return ClassThrottle
	case status == 408, status == 425, status == 499:
		return ClassRetry
	case status == 404, status == 405, status == 406, status == 407, status == 415:
		return ClassConfig
	case status >= 400 && status < 500:
		return ClassInput
	case status >= 300 && status < 400:
		return ClassConfig
	}
	return ClassRetry
}

// normalize folds case and the separators of the snake_case spellings, so that
// invalid_api_key and InvalidApiKey are one code.
func normalize(code string) string {
	return strings.NewReplacer("_", "", " ", "").Replace(strings.ToLower(code))
}

// rule is one row of the error table. The first row that matches decides.
type rule struct {
	code    string // normalized; a final * matches any rest
	wording string // lower case, must be part of the message; "" for any
	class   Class
	hint    string // "" for the advice of the class
}

func (r rule) matches(code string) bool {
	if prefix, ok := strings.CutSuffix(r.code, "*"); ok {
		return strings.HasPrefix(code, prefix)
	}
	return r.code == code
}
