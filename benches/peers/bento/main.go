// Bento, a stream processor, as it is: a file in, a mapping, nothing out (or lines into a file, to be counted).
//
// `bento -c CONFIG` with CONSENT naming who agreed. consent(tenant, subject) is a map of Go: the cheapest look-up it can have.
package main

import (
	"bufio"
	"context"
	"os"
	"strings"

	"github.com/warpstreamlabs/bento/public/bloblang"
	"github.com/warpstreamlabs/bento/public/service"

	_ "github.com/warpstreamlabs/bento/public/components/io"
	_ "github.com/warpstreamlabs/bento/public/components/pure"
	_ "github.com/warpstreamlabs/bento/public/components/pure/extended"
)

func main() {
	masks := map[string]int64{}
	if file, err := os.Open(os.Getenv("CONSENT")); err == nil {
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			line := lines.Text()
			comma := strings.LastIndexByte(line, ',')
			masks[strings.Replace(line[:comma], ",", "\x00", 1)] = int64(line[comma+1] - '0')
		}
		file.Close()
	}
	spec := bloblang.NewPluginSpec().Param(bloblang.NewStringParam("tenant")).Param(bloblang.NewStringParam("subject"))
	err := bloblang.RegisterFunctionV2("consent", spec, func(args *bloblang.ParsedParams) (bloblang.Function, error) {
		tenant, err := args.GetString("tenant")
		if err != nil {
			return nil, err
		}
		subject, err := args.GetString("subject")
		if err != nil {
			return nil, err
		}
		return func() (any, error) { return masks[tenant+"\x00"+subject], nil }, nil
	})
	if err != nil {
		panic(err)
	}
	service.RunCLI(context.Background())
}
