// Command gitops says what Flux and Argo CD make of objects.
//
// It reads one JSON document from the standard input, a list of {"object": …, "lua": …}, and writes a list of verdicts: what kstatus
// computes, and what the Lua script answers that Argo CD would run with the object as `obj`.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

type question struct {
	Object object `json:"object"`
	// Lua is a health check, or the discovery or the body of an action.
	Lua string `json:"lua"`
}

// object is decoded as Kubernetes' own clients do it: whole numbers stay whole.
type object map[string]any

func (o *object) UnmarshalJSON(data []byte) error {
	return utiljson.Unmarshal(data, (*map[string]any)(o))
}

type verdict struct {
	Kstatus string `json:"kstatus"`
	Message string `json:"message"`
	// Lua is what the script returned.
	Lua any `json:"lua"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		return err
	}
	verdicts := make([]verdict, 0, len(questions))
	for _, question := range questions {
		computed, err := status.Compute(&unstructured.Unstructured{Object: question.Object})
		if err != nil {
			return err
		}
		answer := verdict{Kstatus: computed.Status.String(), Message: computed.Message}
		if question.Lua != "" {
			if answer.Lua, err = script(question.Lua, question.Object); err != nil {
				return err
			}
		}
		verdicts = append(verdicts, answer)
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}

// script runs a script with the libraries that Argo CD opens: package, base, table, and of os only the clock.
func script(text string, object map[string]any) (any, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage},
		{lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable},
		{lua.OsLibName, openClock},
	} {
		state.Push(state.NewFunction(library.open))
		state.Push(lua.LString(library.name))
		state.Call(1, 0)
	}
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoString(text); err != nil {
		return nil, err
	}
	if state.GetTop() != 1 {
		return nil, errors.New("the script must return one value")
	}
	return fromLua(state.Get(1)), nil
}

func openClock(state *lua.LState) int {
	state.Push(state.RegisterModule(lua.OsLibName, map[string]lua.LGFunction{
		"time": func(state *lua.LState) int {
			state.Push(lua.LNumber(time.Now().Unix()))
			return 1
		},
		"date": func(state *lua.LState) int {
			state.Push(lua.LString(time.Now().UTC().Format(time.RFC3339)))
			return 1
		},
	}))
	return 1
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(toLua(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetString(key, toLua(state, item))
		}
		return table
	default:
		return lua.LNil
	}
}

func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case lua.LBool:
		return bool(value)
	case lua.LNumber:
		return float64(value)
	case lua.LString:
		return string(value)
	case *lua.LTable:
		if length := value.MaxN(); length > 0 {
			items := make([]any, 0, length)
			for index := 1; index <= length; index++ {
				items = append(items, fromLua(value.RawGetInt(index)))
			}
			return items
		}
		fields := map[string]any{}
		value.ForEach(func(key, item lua.LValue) { fields[key.String()] = fromLua(item) })
		return fields
	default:
		return nil
	}
}
