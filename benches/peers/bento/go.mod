module peer-bento

go 1.24

require github.com/warpstreamlabs/bento v1.5.0
