2 1:1:0.5 | gold gold oil:3
2:0:0.25 |n x=y
| z
