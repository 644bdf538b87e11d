#!/bin/sh
# Makes orders.csv: 480 orders of a small shop that sells in four regions, with
# the faults that such files have. The same file every time.
#
#   sh make.sh > orders.csv
LC_ALL=C awk '
function random(n) { seed = (seed * 16807) % 2147483647; return seed % n }
function pick(list,   a) { return a[1 + random(split(list, a, " "))] }
BEGIN {
	seed = 20260301
	split("tea-green:tea:12.50 tea-black:tea:9.90 tea-white:tea:21.00 cup-small:ware:6.40 cup-large:ware:8.80 pot-iron:ware:64.00 pot-glass:ware:38.50 honey:food:7.20 cookies:food:4.95 gift-box:gift:45.00", product, " ")
	print "order_id,date,region,customer,product,category,quantity,unit_price,status"
	for (i = 1; i <= 480; i++) {
		region = pick("cn cn cn cn eu eu eu us us jp")
		split(product[1 + int(sqrt(random(100)))], p, ":")
		quantity = 1 + random(5); if (random(20) == 0) quantity = quantity * 10
		status = pick("paid paid paid paid paid paid paid paid refunded cancelled")
		price = p[3]
		if (i % 97 == 0) quantity = ""
		if (i % 151 == 0) price = "n/a"
		printf "%s-%05d,2026-03-%02d,%s,c%04d,%s,%s,%s,%s,%s\n", toupper(region), i, 1 + int((i - 1) * 31 / 480), region, 1000 + random(140), p[1], p[2], quantity, price, status
	}
}'
