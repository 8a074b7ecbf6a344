module usm-receiver.test/traffic

go 1.26
