"""Asks a dataset the questions of scripts/sql on one engine, and prints answers and costs as JSON.

usage: ask.py ENGINE DATASET [QUESTION.sql...]      ENGINE is duckdb or spark

The queries are the same on both engines; only the views that they read are made differently. Shuffle bytes are those that
Spark's tasks report.
"""

import datetime
import decimal
import json
import os
import pathlib
import sys
import tempfile
import time

TIME = "%Y-%m-%d %H:%M:%S.%f"
TABLES = ("events", "spans", "sketch", "runs")
# What the comparison with analyze needs: each stage and each hand-off of each trace, from the sketch alone.
STAGES = """
WITH running AS (
  SELECT trace, kind, stage, bucket, value_ns, count,
    SUM(count) OVER (PARTITION BY trace, kind, stage ORDER BY bucket ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS up_to,
    SUM(count) OVER (PARTITION BY trace, kind, stage) AS total
  FROM sketch
)
SELECT trace, kind, stage, MAX(total) AS spans,
  MIN(CASE WHEN up_to * 1000 >= total * 500 THEN value_ns END) AS p50_ns,
  MIN(CASE WHEN up_to * 1000 >= total * 900 THEN value_ns END) AS p90_ns,
  MIN(CASE WHEN up_to * 1000 >= total * 990 THEN value_ns END) AS p99_ns,
  MIN(CASE WHEN up_to * 1000 >= total * 999 THEN value_ns END) AS p999_ns
FROM running
GROUP BY trace, kind, stage
ORDER BY trace, kind, stage
"""
# From spans, exactly: counts of each class.
CLASSES = "SELECT trace, stage, class, COUNT(*) AS spans FROM spans GROUP BY trace, stage, class ORDER BY trace, stage, class"
ROWS = "SELECT 'events' AS name, COUNT(*) AS n FROM events UNION ALL SELECT 'spans', COUNT(*) FROM spans ORDER BY name"


def plain(value):
    """A value of either engine as JSON has it."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime.datetime):
        return value.strftime(TIME)
    return value.isoformat() if isinstance(value, datetime.date) else value


class DuckDB:
    def __init__(self, dataset):
        import duckdb

        self.connection = duckdb.connect()
        self.connection.execute("SET threads = 2; SET TimeZone = 'UTC'")
        for table in TABLES:
            files = f"{dataset}/{table}/*/*/*.parquet"
            self.connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{files}', hive_partitioning = true)")

    def ask(self, query):
        answer = self.connection.sql(query)
        # Its times in Python would need a package of time zones.
        shown = [
            f"strftime(\"{name}\", '{TIME}')" if "TIME ZONE" in str(kind) else f'"{name}"'
            for name, kind in zip(answer.columns, answer.types)
        ]
        return [list(map(plain, row)) for row in answer.project(", ".join(shown)).fetchall()]

    def shuffled(self):
        return {}


class Spark:
    def __init__(self, dataset):
        from pyspark.sql import SparkSession

        self.log = tempfile.mkdtemp(prefix="spark-events-")
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.memory": "2g",
            "spark.eventLog.enabled": "true",
            "spark.eventLog.compress": "false",
            "spark.eventLog.dir": f"file://{self.log}",
            "spark.eventLog.rolling.enabled": "false",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "8",
            "spark.sql.warehouse.dir": f"{self.log}/warehouse",
            "spark.log.level": "ERROR",
        }
        builder = SparkSession.builder.master("local[2]").appName("fleet")
        for name, value in settings.items():
            builder = builder.config(name, value)
        self.spark = builder.getOrCreate()
        for table in TABLES:
            self.spark.sql(f"CREATE TEMPORARY VIEW {table} USING parquet OPTIONS (path '{dataset}/{table}')")

    def ask(self, query):
        self.spark.sparkContext.setJobDescription(query[:60])
        return [list(map(plain, row)) for row in self.spark.sql(query).collect()]

    def shuffled(self):
        """Bytes that the tasks of each question wrote for others, by the question's first letters."""
        self.spark.stop()
        of_stage, shuffled = {}, {}
        for file in pathlib.Path(self.log).iterdir():
            for line in file.read_text().splitlines() if file.is_file() else ():
                event = json.loads(line)
                if event["Event"] == "SparkListenerJobStart":
                    name = event.get("Properties", {}).get("spark.job.description", "")
                    of_stage.update({stage: name for stage in event["Stage IDs"]})
                elif event["Event"] == "SparkListenerTaskEnd" and event.get("Task Metrics"):
                    name = of_stage.get(event["Stage ID"], "")
                    written = event["Task Metrics"]["Shuffle Write Metrics"]["Shuffle Bytes Written"]
                    shuffled[name] = shuffled.get(name, 0) + written
        return shuffled


def main():
    # Spark's times are those of this process's zone.
    os.environ["TZ"] = "UTC"
    time.tzset()
    engine, dataset, *files = sys.argv[1:]
    dataset = pathlib.Path(dataset).resolve()
    questions = {pathlib.Path(file).stem: pathlib.Path(file).read_text().strip().rstrip(";") for file in files}
    questions |= {"stages": STAGES, "classes": CLASSES, "rows": ROWS}
    # Comments first would make all questions look alike.
    questions = {name: f"/* {name} */ {query}" for name, query in questions.items()}
    asked = {"duckdb": DuckDB, "spark": Spark}[engine](dataset)
    answers, seconds = {}, {}
    for name, query in questions.items():
        start = time.monotonic()
        answers[name] = asked.ask(query)
        seconds[name] = round(time.monotonic() - start, 3)
    shuffled = asked.shuffled()
    shuffle_bytes = {name: shuffled.get(query[:60], 0) for name, query in questions.items()} if shuffled else {}
    json.dump({"engine": engine, "answers": answers, "seconds": seconds, "shuffle_bytes": shuffle_bytes}, sys.stdout)


main()
