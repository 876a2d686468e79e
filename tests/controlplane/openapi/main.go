// Judges OpenAPI documents by validators that Kubernetes does not use: go-openapi for v2, kin-openapi for v3.
//
// Usage: openapi FILE... ; prints a line for each fault, and ends with 1 if there is any.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-openapi/loads"
	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/validate"
)

func main() {
	faults := 0
	for _, file := range os.Args[1:] {
		for _, fault := range judge(file) {
			fmt.Printf("%s: %s\n", file, short(fault))
			faults++
		}
	}
	if faults > 0 || len(os.Args) < 2 {
		os.Exit(1)
	}
	fmt.Printf("%d documents are valid\n", len(os.Args)-1)
}

func short(fault error) string {
	text := strings.Join(strings.Fields(fault.Error()), " ")
	return text[:min(len(text), 1000)]
}

func judge(file string) []error {
	data, err := os.ReadFile(file)
	if err != nil {
		return []error{err}
	}
	var head struct{ Swagger, OpenAPI string }
	if err := json.Unmarshal(data, &head); err != nil {
		return []error{err}
	}
	switch {
	case head.Swagger != "":
		return second(data)
	case head.OpenAPI != "":
		return third(data)
	}
	return []error{fmt.Errorf("neither swagger nor openapi is named")}
}

func second(data []byte) []error {
	document, err := loads.Analyzed(data, "2.0")
	if err != nil {
		return []error{err}
	}
	validator := validate.NewSpecValidator(document.Schema(), strfmt.Default)
	validator.SetContinueOnErrors(true)
	// Warnings are about style (a definition that nothing refers to).
	result, _ := validator.Validate(document)
	return result.Errors
}

func third(data []byte) []error {
	var raw any
	if err := json.Unmarshal(data, &raw); err != nil {
		return []error{err}
	}
	withoutEmptyDefaults(raw)
	data, err := json.Marshal(raw)
	if err != nil {
		return []error{err}
	}
	document, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return []error{err}
	}
	if err := document.Validate(context.Background(), openapi3.EnableMultiError()); err != nil {
		return []error{err}
	}
	return nil
}

// withoutEmptyDefaults removes {"default": {}} beside a reference: kube-openapi writes it at every embedded struct, also where
// the struct has required fields, and the schemas that all Kubernetes servers share must be as it writes them.
func withoutEmptyDefaults(value any) {
	switch value := value.(type) {
	case map[string]any:
		empty, isObject := value["default"].(map[string]any)
		if _, refers := value["allOf"]; refers && isObject && len(empty) == 0 {
			delete(value, "default")
		}
		for _, below := range value {
			withoutEmptyDefaults(below)
		}
	case []any:
		for _, below := range value {
			withoutEmptyDefaults(below)
		}
	}
}
